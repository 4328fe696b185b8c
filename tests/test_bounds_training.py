"""Bounds in training against their formulas and torch's own gradients, with the statistics of the batch."""

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from bounds_toys import UNIT, network
from torch import nn

from hiercls.testing.components import copied, require_untouched
from hiercls.words.errors import HierclsError
from hiercls_plugins.bounds.bounded import Bounded
from hiercls_plugins.bounds.boxes import around
from hiercls_plugins.bounds.rounding import FLOAT32


def normalised(x, layer, reference):
    """A batch norm by its formula, with the statistics of another tensor."""
    axes = [0, *range(2, x.dim())]
    shape = (1, -1) + (1,) * (x.dim() - 2)
    mean, variance = reference.mean(axes), reference.var(axes, unbiased=False)
    scale = layer.weight / (variance + layer.eps).sqrt()
    return scale.reshape(shape), mean.reshape(shape), layer.bias.reshape(shape)


def by_hand(made, x, box):
    """Clean outputs and bounds of conv, norm, relu, flatten, linear, norm, relu, linear, in plain autograd."""
    conv, first, _, _, dense, second, _, last = made
    clean, centre, radius = x, box.centre, box.radius
    for layer, norm in ((conv, first), (dense, second)):
        if layer is dense:
            clean, centre, radius = clean.flatten(1), centre.flatten(1), radius.flatten(1)
        apply = layer._conv_forward if layer is conv else F.linear
        clean, centre = apply(clean, layer.weight, layer.bias), apply(centre, layer.weight, layer.bias)
        radius = apply(radius, layer.weight.abs(), None)
        scale, mean, shift = normalised(clean, norm, clean)
        clean, centre, radius = (
            (clean - mean) * scale + shift,
            (centre - mean) * scale + shift,
            radius * scale.abs(),
        )
        lower, upper = (centre - radius).relu(), (centre + radius).relu()
        clean, centre, radius = clean.relu(), (upper + lower) / 2, (upper - lower) / 2
    return last(clean), F.linear(centre, last.weight, last.bias), F.linear(radius, last.weight.abs())


def trainable():
    torch.manual_seed(0)
    layers = (nn.Conv2d(2, 3, 3, 2), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten())
    made = nn.Sequential(*layers, nn.Linear(27, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))
    for layer in (made[1], made[5]):
        nn.init.normal_(layer.weight)
        nn.init.normal_(layer.bias)
    return made.double().train()


def test_training_bounds_and_their_gradients_are_those_of_the_formulas():
    made = trainable()
    x = torch.rand(6, 2, 8, 8, dtype=torch.float64)
    box = around(x, 0.05, UNIT)
    bounded = Bounded(made)
    logits, statistics = bounded.concrete(x)
    found = bounded.outputs(box, statistics)
    expected = by_hand(made, x, box)
    generator = torch.Generator().manual_seed(3)
    weights = [torch.randn(6, 3, generator=generator, dtype=torch.float64) for _ in range(3)]
    sums = []
    for values in ((logits, found.centre, found.radius), expected):
        sums.append(sum((weight * value).sum() for weight, value in zip(weights, values, strict=True)))
    for value, other in zip((logits, found.centre, found.radius), expected, strict=True):
        assert torch.allclose(value, other, atol=1e-12)
    ours, theirs = (torch.autograd.grad(total, list(made.parameters())) for total in sums)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, atol=1e-10)


@pytest.mark.parametrize("name", ["dense", "strided", "residual", "forked"])
def test_bounds_in_training_are_those_in_eval_mode_with_the_statistics_of_the_batch(name):
    made = network(name).double().train()
    x = torch.rand(16, 2, 8, 8, dtype=torch.float64)
    bounded = Bounded(made)
    logits, statistics = bounded.concrete(x)
    assert torch.allclose(logits, deepcopy(made)(x), atol=1e-12)
    found = bounded.outputs(around(x, 0.02, UNIT), statistics)
    for layer in made.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.running_mean.copy_(statistics.norms[layer].mean.detach())
            layer.running_var.copy_((layer.weight / statistics.norms[layer].scale).detach() ** 2 - layer.eps)
    expected = Bounded(made.eval()).outputs(around(x, 0.02, UNIT))
    assert torch.allclose(found.centre, expected.centre, atol=1e-9)
    assert torch.allclose(found.radius, expected.radius, atol=1e-9)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_the_concrete_pass_moves_running_statistics_as_the_network_does(momentum):
    ours = trainable()
    for layer in (ours[1], ours[5]):
        layer.momentum = momentum
    theirs = deepcopy(ours)
    bounded = Bounded(ours)
    for seed in range(3):
        x = torch.rand(6, 2, 8, 8, generator=torch.Generator().manual_seed(seed)).double()
        assert torch.equal(bounded.concrete(x)[0], theirs(x))
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(tensor, ours.state_dict()[name]), name


def test_bounding_changes_no_parameter_and_no_running_statistic():
    for made in (trainable(), network("residual").double()):
        bounded = Bounded(made)
        x = torch.rand(6, 2, 8, 8, dtype=torch.float64)
        _, statistics = bounded.concrete(x)
        before = copied(made)
        features = bounded.features(around(x, 0.1, UNIT), statistics)
        features.lowest(torch.eye(len(features.weight), dtype=torch.float64).expand(6, -1, -1))
        require_untouched(before, made, "bounding")


def test_a_network_in_train_mode_is_not_certified():
    with pytest.raises(HierclsError, match="train mode"):
        Bounded(trainable(), FLOAT32)


def test_training_bounds_need_the_statistics_of_a_concrete_pass():
    with pytest.raises(HierclsError, match=r"BatchNorm2d at '1' is in train mode"):
        Bounded(trainable()).outputs(around(torch.rand(2, 2, 8, 8).double(), 0.1, UNIT))
