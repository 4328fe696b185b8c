"""The parts of training on interval bounds, against their formulas: ramp, first weights, loss, regulariser."""

from math import pi, sqrt

import pytest
import torch
import torch.nn.functional as F
from ibp_toys import UNIT, at, convolutional, images
from torch import nn

from hiercls_plugins.bounds.bounded import Bounded
from hiercls_plugins.bounds.boxes import Box, around
from hiercls_plugins.bounds.training.initial import draw_fast_weights
from hiercls_plugins.bounds.training.objective import WorstCase, worst_case
from hiercls_plugins.bounds.training.ramp import Ramp
from hiercls_plugins.bounds.training.regulariser import imbalance, looseness, penalty


def test_the_ramp_is_flat_then_bent_then_straight():
    ramp = Ramp(0.1, 0.5, 1, 21)
    assert [ramp.budget(s) for s in (0, 1, 21, 50)] == [0, 0, 0.1, 0.1]
    assert ramp.budget(3.5) / ramp.budget(2.25) == pytest.approx(16), "the fourth power, up to a quarter of the way"
    middle, before = ramp.budget(6), 1e-6
    assert (middle - ramp.budget(6 - before)) / before == pytest.approx((ramp.budget(21) - middle) / 15, rel=1e-4)
    straight = [ramp.budget(s) for s in (6, 11, 16, 21)]
    assert straight[1] - straight[0] == pytest.approx(straight[3] - straight[2])


def test_the_clean_weight_falls_as_the_budget_rises():
    ramp = Ramp(0.2, 0.5, 0, 10)
    assert ramp.clean_weight(0) == 1
    assert ramp.clean_weight(10) == 0.5
    assert ramp.clean_weight(5) == pytest.approx(1 - 0.5 * ramp.budget(5) / 0.2)


def test_fast_weights_have_their_deviation_and_leave_the_last_layer():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 64, 5), nn.Flatten(), nn.Linear(400, 300), nn.Linear(300, 10))
    last, biases = network[3].weight.clone(), [network[k].bias.clone() for k in (0, 2, 3)]
    draw_fast_weights(network, torch.Generator().manual_seed(1))
    for layer, fan_in in ((network[0], 75), (network[2], 400)):
        assert layer.weight.std().item() == pytest.approx(sqrt(2 * pi) / fan_in, rel=0.03)
        assert layer.weight.abs().sum().item() / len(layer.weight) == pytest.approx(2, rel=0.03)
    assert torch.equal(network[3].weight, last)
    assert all(torch.equal(network[k].bias, bias) for k, bias in zip((0, 2, 3), biases, strict=True))


def test_fast_weights_keep_the_size_of_boxes_through_the_layers():
    torch.manual_seed(0)
    network = nn.Sequential(*[layer for _ in range(6) for layer in (nn.Linear(300, 300), nn.ReLU())], nn.Linear(300, 2))
    x = torch.randn(8, 300)
    radii = {}
    for name in ("default", "fast"):
        if name == "fast":
            draw_fast_weights(network, torch.Generator().manual_seed(1))
        features = Bounded(network).features(Box(x, torch.full_like(x, 0.01)))
        radii[name] = features.before_relu[-1].radius.mean() / 0.01
    assert radii["default"] > 1000
    assert 0.3 < radii["fast"] < 5


def test_the_worst_case_is_the_cross_entropy_of_the_least_favourable_logits():
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).double()
    box = around(images(7).views["image"].double(), 0.02, UNIT)
    y = torch.tensor([0, 1, 2, 0, 1, 2, 0])
    weight, bias = network[1].weight, network[1].bias
    centre, radius = box.centre.flatten(1), box.radius.flatten(1)
    logits = torch.stack(
        [
            torch.stack(
                [
                    -((weight[k] - weight[j]) @ c - (weight[k] - weight[j]).abs() @ r + bias[k] - bias[j])
                    for j in range(3)
                ]
            )
            for k, c, r in zip(y.tolist(), centre, radius, strict=True)
        ]
    )
    found = worst_case(Bounded(network).features(box), y)
    assert torch.allclose(found, F.cross_entropy(logits, y), atol=1e-12)


def test_the_loss_mixes_clean_and_worst_case_by_kappa_and_adds_the_regulariser_until_the_ramp_ends():
    network = convolutional(3).train()
    x, y = images(16).views["image"], torch.arange(16) % 3
    objective = WorstCase(Ramp(0.1, 0.25, 2, 10), UNIT, 0.5)
    logits, statistics = Bounded(network).concrete(x)
    clean = F.cross_entropy(logits, y)

    def parts(budget):
        box = around(x, budget, UNIT)
        features = Bounded(network).features(box, statistics)
        return worst_case(features, y), penalty(box, features.before_relu)

    worst, _ = parts(0.1)
    assert torch.allclose(objective.loss(network, x, y, at(30)), 0.25 * clean + 0.75 * worst)
    _, extra = parts(1e-4)
    assert torch.allclose(objective.loss(network, x, y, at(1)), clean + 0.5 * extra)
    share = objective.ramp.progress(8)
    worst, extra = parts(0.1 * share)
    kappa = 1 - 0.75 * share
    expected = kappa * clean + (1 - kappa) * worst + 0.5 * (1 - share) * extra
    assert torch.allclose(objective.loss(network, x, y, at(8)), expected)
    plain = WorstCase(Ramp(0.1, 0.25, 2, 10), UNIT, 0.0)
    assert torch.allclose(plain.loss(network, x, y, at(1)), clean)


def test_an_eval_pass_between_two_steps_changes_no_loss():
    network = convolutional(3).train()
    x, y = images(16).views["image"], torch.arange(16) % 3
    objective = WorstCase(Ramp(0.1, 0.25, 0, 10), UNIT, 0.5)
    first = objective.loss(network, x, y, at(30))
    network.eval()(x)
    network.train()
    assert torch.equal(objective.loss(network, x, y, at(30)), first)


def slow_imbalance(box):
    """The authors' formulas, with masks, in plain autograd; t = 0.5."""
    centre = box.centre
    active, inactive = box.lower > 0, box.upper < 0
    delta = (centre - centre.mean()) ** 2
    mean = (centre * active).sum() / -(centre * inactive).sum()
    variance = (delta * active).sum() / (delta * inactive).sum()
    return sum(F.relu(0.5 - torch.minimum(ratio, 1 / ratio)) / 0.5 for ratio in (mean, variance))


@pytest.mark.parametrize("shift", [0.8, -0.3, 1.8])
def test_the_imbalance_and_its_gradient_are_those_of_the_formulas(shift):
    torch.manual_seed(0)
    centre = (torch.randn(8, 50, dtype=torch.float64) + shift).requires_grad_(True)
    radius = 0.3 * torch.rand(8, 50, dtype=torch.float64)
    ours, theirs = imbalance(Box(centre, radius)), slow_imbalance(Box(centre, radius))
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-9)
    assert ours.item() > 0
    (one,), (other,) = torch.autograd.grad(ours, centre), torch.autograd.grad(theirs, centre)
    assert torch.allclose(one, other, atol=1e-12)


def test_a_layer_without_inactive_neurons_has_no_imbalance_and_no_broken_gradient():
    centre = torch.rand(4, 5).add(1).requires_grad_(True)
    found = imbalance(Box(centre, torch.full((4, 5), 0.1)))
    assert found.item() == 0
    (found + centre.sum()).backward()
    assert torch.equal(centre.grad, torch.ones(4, 5))


def test_looseness_begins_where_the_radius_has_doubled():
    entry = Box(torch.zeros(2, 3), torch.full((2, 3), 0.1))
    for growth, expected in ((1.0, 0.0), (2.0, 0.0), (4.0, 0.5), (1e6, 1.0)):
        found = looseness(entry, Box(torch.zeros(2, 4), torch.full((2, 4), 0.1 * growth)))
        assert found.item() == pytest.approx(expected, abs=1e-5)
