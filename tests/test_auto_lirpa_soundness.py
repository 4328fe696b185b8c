"""Bounds of auto_LiRPA hold: conformance, points of the box, attacks, rows apart, and what float32 may err."""

import pytest
import torch
from lirpa_toys import BOUNDS, _few, boxes, dense, images, installed, network, prover, radii, random_rows, singles
from torch import nn

from hiercls.testing import CertifierConformance
from hiercls.values.heads import retrained
from hiercls.words.threats import EVERYWHERE
from hiercls_plugins.auto_lirpa.certifier import AutoLirpa
from hiercls_plugins.auto_lirpa.engine import Engine

lirpa = installed


class Conformance(CertifierConformance):
    tight = True
    count = 18
    bound = "crown-ibp"

    @pytest.fixture(autouse=True)
    def _installed(self, lirpa):
        pass

    def make(self):
        return AutoLirpa(bound=self.bound, rows=32, smallest=0.01, precision=0.005)


class TestCrownIbp(Conformance):
    pass


class TestAlphaCrown(Conformance):
    bound = "alpha-crown"


del Conformance


@pytest.mark.usefixtures("lirpa")
@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("name", ["convolutions", "leaky", "tanh"])
def test_no_point_of_a_box_lies_outside_its_bounds(name, bound):
    made, x, rows = network(name), images(2), random_rows(2, 3, 5)
    exact, engine = network(name).double(), Engine(made, bound, 2)
    generator = torch.Generator().manual_seed(1)
    for budget in (0.0, 0.01, 0.1):
        box = boxes(x, budget)
        lowest = engine.lowest(box, rows)
        for _ in range(200):
            signs = torch.randint(-1, 2, x.shape, generator=generator)
            values = torch.einsum("nrk,nk->nr", rows, exact(box.centre + signs * box.radius))
            assert bool((values >= lowest - 1e-6).all())


@pytest.mark.usefixtures("lirpa")
def test_each_bound_is_at_least_as_tight_as_the_one_below_it():
    made, box, rows = network("dense"), boxes(images(4), 0.2), random_rows(4, 6, 5)
    ibp, crown_ibp, crown, alpha = (Engine(made, bound, 8).lowest(box, rows) for bound in BOUNDS)
    assert bool((crown_ibp >= ibp).all())
    assert bool((crown >= ibp).all())
    assert bool((alpha >= crown - 1e-9).all())
    assert crown_ibp.mean() > ibp.mean() + 0.01
    assert crown.mean() > crown_ibp.mean() + 0.001
    assert alpha.mean() > crown.mean() + 1e-5


@pytest.mark.usefixtures("lirpa")
@pytest.mark.parametrize("bound", ["crown-ibp", "crown"])
def test_where_a_linear_bound_is_looser_the_interval_bound_stays(bound):
    """A ReLU over [-0.9, 1] is at least 0; the adaptive slope, 1, says -0.9."""
    made = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1)).eval()
    for layer in (made[0], made[2]):
        nn.init.ones_(layer.weight)
        nn.init.zeros_(layer.bias)
    engine, box = Engine(made, bound, 1), boxes(torch.tensor([[0.05]]), 0.95, EVERYWHERE)
    row = torch.ones(1, 1, 1, dtype=torch.float64)
    assert engine._lowest(box, row, bound).item() == pytest.approx(-0.9, rel=1e-6)
    assert engine.lowest(box, row).item() == pytest.approx(0, abs=1e-9)


@pytest.mark.usefixtures("lirpa")
@pytest.mark.parametrize("bound", BOUNDS)
def test_no_attack_reaches_an_excluded_child(bound):
    head = retrained([frozenset((0, 1)), frozenset((2,)), frozenset((3, 4))])
    torch.manual_seed(5)
    made, x = dense(64, 16, 3).eval(), images(8)
    chosen, found = radii(made, head, x, bound=bound, precision=0.05, rows=8, **_few(bound))
    assert bool((found > 1e-3).any())
    for child in range(3):
        for n in range(len(x)):
            if n and chosen[n] != child and found[n, child] > 0:
                assert not bool((head.decide(made(_climbed(made, x[n], child, float(found[n, child])))) == child).any())


def _climbed(made, x, child, radius):
    """Points within `radius` of one input on the way uphill to a child."""
    start = x.expand(8, *x.shape) + radius * (2 * torch.rand(8, *x.shape) - 1)
    points = start.clamp(x - radius, x + radius).clamp(0, 1)
    for _ in range(20):
        points = points.detach().requires_grad_(True)
        logits = made(points)
        (gradient,) = torch.autograd.grad((logits[:, child] - logits.logsumexp(1)).sum(), points)
        points = (points + radius / 5 * gradient.sign()).clamp(x - radius, x + radius).clamp(0, 1)
    return points.detach()


@pytest.mark.usefixtures("lirpa")
@pytest.mark.parametrize("bound", BOUNDS)
def test_a_row_of_a_batch_does_not_depend_on_its_neighbours(bound):
    engine, rows = Engine(network("convolutions"), bound, 4), random_rows(6, 4, 5)
    x = images(6)
    among = x.clone()
    among[1:] = images(5, seed=9)
    alone, beside = engine.lowest(boxes(x, 0.05), rows), engine.lowest(boxes(among, 0.05), rows)
    assert torch.equal(alone[0], beside[0])
    assert not torch.equal(alone[1:], beside[1:])
    assert torch.equal(alone, engine.lowest(boxes(x, 0.05), rows)), "nothing is left of the pass between"
    assert not any(parameter.requires_grad for parameter in engine.network.parameters())


@pytest.mark.usefixtures("lirpa")
@pytest.mark.parametrize("bound", ["crown", "alpha-crown"])
def test_a_layer_that_is_bounded_in_parts_has_the_same_bounds(bound, monkeypatch, capfd):
    box, rows = boxes(images(3), 0.05), random_rows(3, 4, 5)
    at_once = Engine(network("convolutions"), bound, 3).lowest(box, rows)
    monkeypatch.setattr("hiercls_plugins.auto_lirpa.engine.SPECIFIED", 7)
    for convolutions in ("matrix", "patches"):
        in_parts = Engine(network("convolutions"), bound, 3, convolutions).lowest(box, rows)
        assert torch.allclose(at_once, in_parts, rtol=1e-9, atol=1e-12)
    assert capfd.readouterr() == ("", ""), "no bar of progress"


@pytest.mark.usefixtures("lirpa")
@pytest.mark.parametrize(("margin", "expected"), [(0.0, 0.0), (1e-5, 0.0), (1e-4, 0.5)])
def test_a_margin_within_what_float32_may_err_proves_nothing(margin, expected):
    layer = nn.Linear(4, 2)
    layer.weight.data.zero_()
    layer.bias.data = torch.tensor([1.0, 1.0 - margin])
    constant = nn.Sequential(nn.Flatten(), layer).eval()
    _, found = radii(constant, retrained(singles(0, 1)), images(2)[:, :, :2, :2], bound="ibp", largest=0.5)
    assert found[:, 1].tolist() == [expected, expected]


@pytest.mark.usefixtures("lirpa")
def test_an_input_on_which_float32_strays_has_radius_0():
    layer = nn.Linear(3, 2)
    layer.weight.data = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    layer.bias.data = torch.tensor([0.0, -1.0])
    head, x = retrained(singles(0, 1)), torch.tensor([[1.0, 1.0, 1.0], [1e9, 1.0, -1e9]]).repeat(128, 1)
    deployed = prover(layer.eval(), [head], bound="ibp", domain=EVERYWHERE)
    found = deployed.radii(deployed.network, head, x)
    assert bool((found[::2, 1] > 0.9).all())
    assert not bool(found[1::2].any())


@pytest.mark.usefixtures("lirpa")
def test_only_tested_budgets_are_claimed_and_the_threats_own_are_tested():
    made, head, x = network("dense"), retrained(singles(0, 1, 2, 3, 4)), images(32)
    asked = 0.0123
    _, found = radii(made, head, x, budgets=(asked,), precision=1.0, rows=64)
    assert bool((found == asked).any())
