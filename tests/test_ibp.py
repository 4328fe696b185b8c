"""Certifying by interval bounds: no attack within a radius, rows of their own, and whom it refuses."""

import pytest
import torch
import torch.nn.functional as F
from ibp_toys import HEADS, UNIT, convolutional, deploy, images, pgd, rows, singles
from torch import nn

from hiercls.testing import CertifierConformance
from hiercls.values.draws import Purpose
from hiercls.values.heads import Head, retrained
from hiercls.values.views import Inputs
from hiercls.words.errors import HierclsError
from hiercls.words.threats import Domain
from hiercls_plugins.ibp.certifier import IbpCertifier


class TestIbpCertifier(CertifierConformance):
    tight = True

    def make(self):
        return IbpCertifier()


@pytest.mark.parametrize("head", HEADS)
def test_no_attack_succeeds_inside_a_radius(head):
    network = convolutional(4, seed=5)
    with torch.no_grad():
        network[6].bias.zero_()
        network[6].weight.mul_(3)
    inputs = images(48)
    prover = deploy(network, [head], smallest=1e-5)
    decided = prover.decide(inputs, Purpose.SELECT)[head]
    proved = rows(prover, inputs)
    radii = torch.tensor([proved[n][head].radii for n in range(48)], dtype=torch.float64)
    own = torch.tensor([proved[n][head].own for n in range(48)], dtype=torch.float64)
    assert bool((own > 0).any())
    broken, beyond = 0, 0
    for child in range(len(head.children)):
        target = torch.full((48,), child)
        asked = (decided != child) & (radii[:, child] > 0)
        broken += int((pgd(network, head, inputs.views["image"], target, radii[:, child], UNIT) & asked).sum())
        wide = radii[:, child] * 30
        beyond += int((pgd(network, head, inputs.views["image"], target, wide, UNIT) & asked).sum())
    assert broken == 0
    assert beyond > 0, "the attack finds something where nothing is claimed"


def test_batches_of_1_and_of_512_give_equal_rows():
    network = convolutional(4)
    inputs = images(70)
    one = rows(deploy(network, HEADS, (0.01,), batch=1), inputs[torch.arange(0, 70, 13)])
    many = rows(deploy(network, HEADS, (0.01,), batch=512), inputs)
    assert one == {n: many[n] for n in one}


def test_a_grouped_child_is_excluded_later_than_each_of_its_labels():
    network = convolutional(4, seed=5)
    inputs = images(40)
    flat, grouped = HEADS[0], HEADS[2]
    proved = rows(deploy(network, (flat, grouped), precision=1e-4), inputs)
    for row in proved.values():
        for child, group in enumerate(grouped.outputs):
            if child != row[grouped].chosen and row[flat].chosen not in group:
                weakest = min(row[flat].radii[label] for label in group)
                assert row[grouped].radii[child] <= weakest * (1 + 1e-3)


def test_a_claim_at_an_asked_budget_is_not_lost_between_two_steps():
    network = nn.Sequential(nn.Flatten(), nn.Linear(2, 2)).eval()
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        network[1].bias.zero_()
    inputs = Inputs(torch.arange(1), {"image": torch.tensor([[0.75, 0.25]])})
    head = retrained(singles(0, 1))
    budget = 0.25 * (1 - 1e-5)
    assert rows(deploy(network, [head], (budget,), precision=0.9), inputs)[0][head].own == budget
    assert rows(deploy(network, [head], precision=0.9), inputs)[0][head].own < 0.24


def test_the_domain_makes_radii_larger():
    """At a corner of the box half of the ball is out of reach."""
    network = convolutional(2, seed=3)
    x = (torch.rand(30, 1, 8, 8, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    inputs = Inputs(torch.arange(30), {"image": x})
    head = retrained(singles(0, 1))
    clipped = rows(deploy(network, [head]), inputs)
    free = rows(deploy(network, [head], domain=Domain("all")), inputs)
    assert all(clipped[n][head].own >= free[n][head].own for n in range(30))
    assert any(clipped[n][head].own > 1.2 * free[n][head].own for n in range(30))


def test_a_domain_without_zero_serves_padded_tiles():
    network = convolutional(2, seed=3)
    inputs = images(3).with_view("image", 1 + images(3).views["image"])
    head = retrained(singles(0, 1))
    found = rows(deploy(network, [head], domain=Domain("box", 1.0, 2.0)), inputs)
    assert any(row[head].own > 0 for row in found.values())
    outside = rows(deploy(network, [head], domain=Domain("box", 1.5, 2.0)), inputs)
    assert not any(row[head].own > 0 for row in outside.values())


def test_an_input_outside_a_domain_whose_ends_are_no_float32_numbers_has_no_radius():
    inputs = images(3).with_view("image", images(3).views["image"] + 0.4)
    found = rows(deploy(convolutional(2, seed=3), [HEADS[0].only((0, 1))], domain=Domain("box", -0.3, 0.3)), inputs)
    assert [row.own for each in found.values() for row in each.values()] == [0.0] * 3


@pytest.mark.parametrize("option", ["smallest", "largest"])
def test_an_end_of_the_search_is_a_number(option):
    with pytest.raises(ValueError, match="finite number"):
        IbpCertifier(**{option: float("inf")})


def test_a_network_that_cannot_be_bounded_is_refused_at_deployment():
    with pytest.raises(HierclsError, match="GELU at '1'"):
        deploy(nn.Sequential(nn.Linear(2, 2), nn.GELU()), HEADS[:1])


SWAPPED = [1, *range(1, 256)]


class Wayward(nn.Module):
    """A linear network whose pass does what its bounds do not show, or not everywhere."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.layer = nn.Linear(16, 2)
        self.passes = 0

    def forward(self, x):
        x = x.flatten(1)
        self.passes += 1
        if self.kind == "random":
            return self.layer(x) + float(torch.rand(()))
        if self.kind == "drifts":
            return self.layer(x) + (self.passes > 1)
        if self.kind == "swaps":
            return self.layer(x[SWAPPED])
        return self.layer(x) + F.relu(x[SWAPPED].mean(1, keepdim=True) - 0.95)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("random", "traced again, as it is deployed, the network has other operations or numbers"),
        ("drifts", "change when a pass is repeated"),
        ("swaps", "depend on other rows of the batch"),
        ("swaps where rows are bright", "depend on other rows of the batch"),
    ],
)
def test_a_network_that_is_not_what_was_bounded_is_refused_before_its_first_claim(kind, message):
    torch.manual_seed(0)
    prover = deploy(Wayward(kind).eval(), [retrained(singles(0, 1))])
    with pytest.raises(HierclsError, match=message):
        rows(prover, Inputs(torch.arange(3), {"image": torch.rand(3, 1, 4, 4)}))


def test_outputs_may_mean_children_in_any_order():
    network = convolutional(2, seed=3)
    inputs = images(20)
    straight, turned = retrained(singles(0, 1)), Head(tuple(singles(0, 1)), ((1,), (0,)))
    found = rows(deploy(network, (straight, turned)), inputs)
    for row in found.values():
        assert row[straight].chosen == 1 - row[turned].chosen
        assert row[straight].radii == row[turned].radii[::-1]
