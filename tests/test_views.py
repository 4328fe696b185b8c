"""Inputs: their views, the labels allowed for them, and the domain they must lie in."""

import pytest
import torch

from hiercls.values.labels import Node
from hiercls.values.views import Inputs, require_domain
from hiercls.words.errors import DataError, OutsideDomain
from hiercls.words.threats import EVERYWHERE, Domain

CHILDREN: tuple[Node, ...] = (frozenset((0, 2)), frozenset((1,)), frozenset((3,)))


def two_views(allowed: torch.Tensor | None = None) -> Inputs:
    views = {"image": torch.arange(12.0).reshape(3, 4), "lidar": torch.arange(6.0).reshape(3, 2)}
    return Inputs(torch.tensor([10, 20, 30]), views, allowed, None if allowed is None else "location")


def test_some_examples_keep_all_their_views_their_names_and_their_labels():
    allowed = torch.eye(3, 4).bool()
    some = two_views(allowed)[torch.tensor([2, 0])]
    assert some.index.tolist() == [30, 10]
    assert some.views["image"].tolist() == [[8, 9, 10, 11], [0, 1, 2, 3]]
    assert some.views["lidar"].tolist() == [[4, 5], [0, 1]]
    assert some.allowed is not None
    assert some.allowed.tolist() == [allowed[2].tolist(), allowed[0].tolist()]
    assert some.allowed_view == "location"
    assert len(two_views()[1:2]) == 1


def test_another_image_leaves_the_other_views_alone():
    inputs = two_views()
    moved = inputs.with_view("image", torch.zeros(3, 4))
    assert not bool(moved.views["image"].any())
    assert torch.equal(moved.views["lidar"], inputs.views["lidar"])
    assert bool(inputs.views["image"].any())


def test_a_child_is_allowed_when_one_of_its_labels_is():
    allowed = torch.tensor([[False, False, True, False], [True, True, False, False], [False, False, False, True]])
    found = two_views(allowed).allowed_children(CHILDREN)
    assert found is not None
    for row, labels in zip(found.tolist(), allowed, strict=True):
        members = set(labels.nonzero().flatten().tolist())
        assert row == [bool(child & members) for child in CHILDREN]
    assert two_views().allowed_children(CHILDREN) is None


def test_views_of_different_length_are_refused():
    with pytest.raises(DataError, match="the views differ in their number of examples"):
        Inputs(torch.arange(3), {"image": torch.zeros(3, 1), "lidar": torch.zeros(2, 1)})


def test_an_example_without_any_allowed_label_is_refused():
    with pytest.raises(DataError, match="'location' allows no label at all"):
        two_views(torch.tensor([[True] * 4, [False] * 4, [True] * 4]))


def test_inputs_in_the_domain_pass():
    require_domain(torch.tensor([[0.0, 1.0]]), Domain(), "here")
    require_domain(torch.tensor([[-50.0, 1e9]]), EVERYWHERE, "here")
    require_domain(torch.empty(0, 4), Domain(), "here")
    require_domain(torch.arange(256).float() / 255, Domain("grid", 0, 1, 255), "here")
    require_domain(torch.arange(17).float() / 8 - 1, Domain("grid", -1, 1, 16), "here")


@pytest.mark.parametrize(
    ("values", "domain", "message"),
    [
        ([0.0, 1.5], Domain(), r"here: inputs lie in \[0, 1.5\], outside the declared domain \[0, 1\]"),
        ([-1e-6, 0.5], Domain(), r"outside the declared domain \[0, 1\]"),
        ([0.0, float("nan")], Domain(), "here: an input is not finite"),
        ([0.0, float("inf")], EVERYWHERE, "here: an input is not finite"),
        ([0.0, 0.5], Domain("grid", 0, 1, 255), "do not lie on the declared grid .* in steps of 1/255"),
    ],
)
def test_inputs_outside_the_domain_are_refused(values, domain: Domain, message: str):
    with pytest.raises(OutsideDomain, match=message):
        require_domain(torch.tensor([values]), domain, "here")
