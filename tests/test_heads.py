"""Heads: which outputs of a network mean each child."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hiercls.values.heads import ABSTAIN, Head, restricted, retrained


def of(*labels: int) -> frozenset[int]:
    return frozenset(labels)


GROUPS = (of(0, 3), of(1), of(4, 5))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0]), min_size=6, max_size=6), min_size=1, max_size=4))
def test_the_child_of_the_first_largest_of_its_own_outputs_is_chosen(logits: list[list[float]]):
    head = restricted(GROUPS)
    expected = []
    for row in logits:
        outputs = sorted(output for group in GROUPS for output in group)
        best = max(outputs, key=lambda output: (row[output], -output))
        expected.append(next(k for k, group in enumerate(GROUPS) if best in group))
    assert head.decide(torch.tensor(logits)).tolist() == expected


def test_outputs_of_other_labels_never_enter():
    """Label 2 is none of this node's: however large or broken its output, it decides nothing."""
    head = restricted(GROUPS)
    for strange in (1e9, float("nan"), float("inf"), -float("inf")):
        assert head.decide(torch.tensor([[0.0, 1.0, strange, 0.5, 0.2, 0.3]])).tolist() == [1]


@pytest.mark.parametrize("strange", [float("nan"), float("inf"), -float("inf")])
def test_an_output_that_is_not_finite_abstains(strange: float):
    head = restricted(GROUPS)
    for output in head.allowed:
        logits = torch.zeros(2, 6)
        logits[0, output] = strange
        assert head.decide(logits).tolist() == [ABSTAIN, 0]


def test_a_retrained_head_has_one_output_a_child_in_label_order():
    head = retrained([of(2, 3), of(0), of(1, 4)])
    assert head.children == (of(0), of(1, 4), of(2, 3))
    assert head.outputs == ((0,), (1,), (2,))
    assert head.node == of(0, 1, 2, 3, 4)


def test_a_restricted_head_takes_the_flat_networks_outputs_of_its_labels():
    head = restricted([of(5, 4), of(1)])
    assert head.children == (of(1), of(4, 5))
    assert head.outputs == ((1,), (4, 5))
    assert head.allowed == (1, 4, 5)
    assert head.child_of == (0, 1, 1)


def test_scores_are_the_largest_output_of_each_child_and_carry_gradients():
    logits = torch.tensor([[3.0, 1.0, 9.0, 4.0, -1.0, -2.0]], requires_grad=True)
    scores = restricted(GROUPS).scores(logits)
    assert scores.tolist() == [[4.0, 1.0, -1.0]]
    scores[0, 0].backward()
    assert logits.grad is not None
    assert logits.grad.tolist() == [[0, 0, 0, 1, 0, 0]]


def test_some_children_decide_among_themselves():
    head = restricted(GROUPS).only([0, 2])
    assert head.children == (of(0, 3), of(4, 5))
    assert head.decide(torch.tensor([[0.0, 9.0, 9.0, 0.0, 0.5, 0.0]])).tolist() == [1]


def test_the_same_question_is_the_same_head():
    assert restricted(GROUPS) == restricted(GROUPS[::-1])
    assert len({restricted(GROUPS), restricted(GROUPS[::-1]), retrained(GROUPS)}) == 2


@pytest.mark.parametrize(
    ("children", "outputs", "message"),
    [
        ((of(0), of(1)), ((0,), (0,)), "no output for two children"),
        ((of(0), of(1)), ((0,), ()), "one or more outputs a child"),
        ((of(0), of(1)), ((0,),), "one or more outputs a child"),
        ((of(1), of(0)), ((0,), (1,)), "ordered by their smallest label"),
    ],
)
def test_a_head_that_means_nothing_is_refused(children, outputs, message: str):
    with pytest.raises(ValueError, match=message):
        Head(children, outputs)
