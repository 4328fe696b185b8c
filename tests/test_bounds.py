"""Interval bounds against closed forms, exact rational arithmetic and brute force."""

from copy import deepcopy
from fractions import Fraction

import pytest
import torch
from bounds_toys import NETWORKS, UNIT, certifying, linear, members, network
from torch import nn

from hiercls_plugins.bounds import affine
from hiercls_plugins.bounds.bounded import Bounded
from hiercls_plugins.bounds.boxes import Box, enclosing
from hiercls_plugins.bounds.rounding import FLOAT32, PLAIN


def test_a_linear_function_on_a_box_has_the_bounds_of_its_corners():
    box = Box(torch.tensor([[5.0, 3.0]]), torch.tensor([[1.0, 2.0]]))
    found = Bounded(linear([[-1.0, 5.0]])).outputs(box)
    assert found.lower.item() == -1
    assert found.upper.item() == 21


def test_a_leaky_relu_of_negative_slope_turns_at_zero():
    box = Box(torch.tensor([[0.5, 2.0]]), torch.tensor([[1.5, 1.0]]))
    found = Bounded(nn.Sequential(nn.LeakyReLU(-0.5)).eval()).outputs(box)
    assert found.lower.tolist() == [[0.0, 1.0]]
    assert found.upper.tolist() == [[2.0, 3.0]]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("budget", [0.0, 0.004, 0.1])
def test_no_point_of_a_box_leaves_the_bounds_in_float64_or_in_float32(name, budget):
    made = network(name)
    x = torch.rand(5, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    box = enclosing(x, torch.full((5,), budget, dtype=torch.float64), UNIT)
    found = certifying(made).outputs(box)
    for points in members(box, 40):
        for arithmetic in (torch.float64, torch.float32):
            y = deepcopy(made).to(arithmetic)(points.to(arithmetic)).double()
            slack = 0 if arithmetic == torch.float64 else 1e-6  # the point itself was rounded
            assert bool((y >= found.lower - slack).all() & (y <= found.upper + slack).all())


@pytest.mark.parametrize("name", NETWORKS)
def test_at_budget_zero_the_bounds_are_the_network(name):
    made = network(name).double()
    x = torch.rand(3, 2, 8, 8).double()
    found = Bounded(made).outputs(Box(x, torch.zeros_like(x)))
    assert torch.allclose(found.centre, made(x), atol=1e-12)
    assert bool((found.radius.abs() < 1e-12).all())


def test_bounds_hold_the_interval_of_exact_rational_arithmetic():
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    x = torch.rand(1, 6)
    found = certifying(made).outputs(enclosing(x, torch.tensor([0.01], dtype=torch.float64), UNIT))
    reach = Fraction(0.01)
    lower = [max(Fraction(0), Fraction(v) - reach) for v in x[0].tolist()]
    upper = [min(Fraction(1), Fraction(v) + reach) for v in x[0].tolist()]
    for layer in made:
        if isinstance(layer, nn.ReLU):
            lower, upper = [max(v, Fraction(0)) for v in lower], [max(v, Fraction(0)) for v in upper]
            continue
        ends = list(zip(lower, upper, strict=True))
        rows = [[Fraction(w) for w in row] for row in layer.weight.tolist()]
        bias = [Fraction(b) for b in layer.bias.tolist()]
        lower = [
            b + sum(min(w * e[0], w * e[1]) for w, e in zip(r, ends, strict=True))
            for r, b in zip(rows, bias, strict=True)
        ]
        upper = [
            b + sum(max(w * e[0], w * e[1]) for w, e in zip(r, ends, strict=True))
            for r, b in zip(rows, bias, strict=True)
        ]
    for k in range(3):
        assert Fraction(found.lower[0, k].item()) <= lower[k]
        assert Fraction(found.upper[0, k].item()) >= upper[k]


def test_every_input_has_its_own_budget():
    made = certifying(network("strided"))
    x = torch.rand(4, 2, 8, 8)
    budgets = torch.tensor([0.0, 0.01, 0.05, 0.2], dtype=torch.float64)
    together = made.outputs(enclosing(x, budgets, UNIT))
    for n in range(4):
        alone = made.outputs(enclosing(x[n : n + 1], budgets[n : n + 1], UNIT))
        assert torch.allclose(together.lower[n], alone.lower[0], rtol=0, atol=1e-12)
        assert torch.allclose(together.upper[n], alone.upper[0], rtol=0, atol=1e-12)


def test_specification_rows_merge_into_the_last_layer():
    """(W_0 - W_1) sees what both rows share; bounding the outputs apart does not."""
    made = linear([[3.0, 1.0], [3.0, -1.0]]).double()
    features = Bounded(made).features(Box(torch.tensor([[1.0, 2.0]]).double(), torch.tensor([[1.0, 0.5]]).double()))
    rows = torch.tensor([[[1.0, -1.0]]], dtype=torch.float64)
    assert features.lowest(rows).item() == 2 * 2.0 - 2 * 0.5
    apart = features.outputs()
    assert (apart.lower[0, 0] - apart.upper[0, 1]).item() < features.lowest(rows).item()


@pytest.mark.parametrize(("rule", "plain"), [(affine.add, torch.add), (affine.subtract, torch.sub)])
@pytest.mark.parametrize("constant", [torch.tensor([[1.0, -2.0]]).double(), 3.0])
def test_a_scaled_constant_moves_a_box_as_it_is(rule, plain, constant):
    box = Box(torch.tensor([[0.5, 0.25]]).double(), torch.tensor([[0.1, 0.2]]).double())
    found = rule(PLAIN, box, constant, alpha=2)
    assert torch.equal(found.centre, plain(box.centre, constant, alpha=2))
    assert torch.equal(found.radius, box.radius)
    charged = rule(FLOAT32, box, constant, alpha=2)
    assert bool((charged.radius > box.radius).all())
