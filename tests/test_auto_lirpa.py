"""A second engine of bounds, found at run time; where it is there, two engines are held to each other."""

import logging
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from hiercls.contracts.context import Context
from hiercls.testing import CertifierConformance
from hiercls.testing.components import copied, require_untouched
from hiercls.testing.proofs import prove
from hiercls.values.draws import Purpose
from hiercls.values.heads import restricted, retrained
from hiercls.values.views import Inputs
from hiercls.words.errors import HierclsError, PluginError
from hiercls.words.norms import LINF
from hiercls.words.packages import Package
from hiercls.words.threats import EVERYWHERE, Domain, Threat
from hiercls_plugins.auto_lirpa.certifier import AutoLirpa
from hiercls_plugins.auto_lirpa.engine import Engine
from hiercls_plugins.auto_lirpa.package import AUTO_LIRPA
from hiercls_plugins.auto_lirpa.ranking import Ranking
from hiercls_plugins.bounds.bounded import Bounded
from hiercls_plugins.bounds.boxes import enclosing
from hiercls_plugins.bounds.exclusion import excluded
from hiercls_plugins.bounds.rounding import PLAIN
from hiercls_plugins.ibp.certifier import IbpCertifier

BOUNDS = ("ibp", "crown-ibp", "crown", "alpha-crown")
UNIT = Domain()


@pytest.fixture
def lirpa():
    if find_spec("auto_LiRPA") is None:
        pytest.skip("auto_LiRPA is not installed")
    AUTO_LIRPA.load()


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


class Residual(nn.Module):
    """A normalised input, batch norm, a residual addition, and both kinds of pooling."""

    def __init__(self, activation):
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.second, self.activation = nn.Conv2d(4, 4, 3, padding=1), activation
        self.average, self.largest = nn.AvgPool2d(2), nn.MaxPool2d(2)
        self.hidden, self.last = nn.Linear(16, 12), nn.Linear(12, 5)

    def forward(self, x):
        h = self.activation(self.norm(self.first((x - 0.3) / 0.5)))
        h = h + self.activation(self.second(h))
        h = self.largest(self.average(h)).flatten(1)
        return self.last(self.activation(self.hidden(h)))


class Branching(nn.Module):
    def forward(self, x):
        flat = x.flatten(1)
        return flat[:, :2] if x.mean() > 0.5 else -flat[:, :2]


class Mixing(nn.Module):
    def forward(self, x):
        return x.flatten(1) - x.flatten(1).mean(0, keepdim=True)


class Overwriting(nn.Module):
    """Reads a view of what it overwrites, which a graph without memory does not follow."""

    def forward(self, x):
        h = (x - 0.5)[:, :, None]
        seen = h.flatten(1)
        h.relu_()
        return seen


def dense(*sizes):
    layers = [layer for pair in zip(sizes, sizes[1:], strict=False) for layer in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(nn.Flatten(), *layers[:-1])


def strided():
    layers = (nn.Conv2d(1, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten())
    return nn.Sequential(*layers, nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 5))


NETWORKS = {
    "dense": lambda: dense(64, 20, 12, 5),
    "convolutions": strided,
    "residual": lambda: Residual(nn.ReLU()),
    "leaky": lambda: Residual(nn.LeakyReLU(0.1)),
    "sigmoid": lambda: Residual(nn.Sigmoid()),
    "tanh": lambda: Residual(nn.Tanh()),
}


def network(name, seed=0):
    torch.manual_seed(seed)
    made = NETWORKS[name]()
    for layer in made.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.uniform_(-0.5, 0.5)
            layer.running_var.uniform_(0.3, 2.0)
            layer.weight.data.uniform_(-2.0, 2.0)
            layer.bias.data.uniform_(-1.0, 1.0)
    return made.eval()


def images(count, seed=0):
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def boxes(x, budget, domain=UNIT):
    return enclosing(x, torch.full((len(x),), budget, dtype=torch.float64), domain)


def random_rows(count, questions, outputs, seed=0):
    return torch.randn(count, questions, outputs, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def singles(*labels):
    return [frozenset((label,)) for label in labels]


def prover(made, heads, bound="crown-ibp", domain=UNIT, budgets=(), **options):
    context = Context(threat=Threat(LINF, budgets, domain=domain))
    return AutoLirpa(bound=bound, **options).deploy(made, tuple(heads), "image", context)


def radii(made, head, x, **options):
    """Targeted radii of `x`, with the decisions of the network."""
    deployed = prover(made, [head], **options)
    inputs = Inputs(torch.arange(len(x)), {"image": x})
    chosen = deployed.decide(inputs, Purpose.SELECT)[head]
    found = prove(deployed, inputs, {head: chosen})
    return chosen, torch.tensor([found[n].rows[head].radii for n in range(len(x))], dtype=torch.float64)


# both engines


@pytest.mark.usefixtures("lirpa")
@pytest.mark.parametrize("name", NETWORKS)
def test_both_engines_have_the_same_interval_bounds(name):
    engine, bounded = Engine(network(name), "ibp", 1), Bounded(network(name).double())
    rows, identity = random_rows(4, 10, 5), torch.eye(5, dtype=torch.float64).expand(4, 5, 5)
    for budget in (0.0, 0.004, 0.1):
        box = boxes(images(4), budget)
        features = bounded.features(box)
        assert torch.allclose(features.lowest(rows), engine.lowest(box, rows), rtol=1e-5, atol=1e-9)
        found = engine.lowest(box, torch.cat([identity, -identity], dim=1))
        assert torch.allclose(features.outputs().lower, found[:, :5], rtol=1e-5, atol=1e-9)
        assert torch.allclose(features.outputs().upper, -found[:, 5:], rtol=1e-5, atol=1e-9)


@pytest.mark.usefixtures("lirpa")
@pytest.mark.parametrize("name", ["dense", "convolutions"])
@pytest.mark.parametrize("budget", [0.004, 0.05])
def test_both_engines_have_the_same_linear_bounds_where_only_relus_bend(name, budget):
    crown = pytest.importorskip("hiercls_plugins.bounds.crown")
    made, box, rows = network(name), boxes(images(4), budget), random_rows(4, 7, 5)
    bounded = Bounded(network(name).double())
    features = bounded.features(box, keep=True)
    ours = crown.Crown(bounded, features).lowest(rows)
    theirs = Engine(made, "crown-ibp", 1)._lowest(box, rows, "crown-ibp")
    assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-9)
    assert bool((theirs > features.lowest(rows) + 1e-6).any()), "linear bounds are no interval bounds"


@pytest.mark.usefixtures("lirpa")
def test_both_engines_prove_the_same_radii_by_interval_bounds():
    made, head, x = network("convolutions"), retrained(singles(0, 1, 2, 3, 4)), images(24)
    made[-1].bias.data += 0.2 * torch.arange(5)
    chosen, theirs = radii(made, head, x, bound="ibp")
    ours = IbpCertifier().deploy(made, (head,), "image", Context(threat=Threat(LINF)))
    found = prove(ours, Inputs(torch.arange(24), {"image": x}), {head: chosen})
    native = torch.tensor([found[n].rows[head].radii for n in range(24)], dtype=torch.float64)
    assert int((native > 0).sum()) > 24
    big = native > 2e-3  # below, what both charge for float32 is no small share of the margin
    assert torch.allclose(native[big], theirs[big], rtol=0.01)


@pytest.mark.usefixtures("lirpa")
@pytest.mark.parametrize("parts", [singles(0, 1, 2, 3, 4), singles(0, 2, 4), [frozenset((0, 1)), frozenset((2, 3, 4))]])
def test_asking_only_larger_outputs_excludes_what_all_pairs_exclude(parts):
    made, x, head = network("dense", seed=3), images(64), restricted(parts)
    some = 0
    for budget in (0.002, 0.01, 0.03):
        box = boxes(x, budget)
        expected = excluded(Bounded(network("dense", seed=3).double()).features(box), head, PLAIN)
        engine = Engine(made, "ibp", 1)
        ranking = Ranking.of(engine.outputs(x), head)
        assert torch.equal(ranking.excluded(engine.lowest(box, ranking.rows()) > 0, head), expected)
        some += int(expected.sum())
    assert 0 < some < 3 * 64 * len(parts)


# soundness


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


def _few(bound):
    return {"iterations": 2} if bound == "alpha-crown" else {}


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


# the user's network


@pytest.mark.usefixtures("lirpa")
@pytest.mark.parametrize("bound", BOUNDS)
def test_nothing_of_the_users_network_or_process_changes(bound, capfd):
    made = network("residual")
    made.norm.weight.requires_grad_(False)
    made.last.bias.grad = torch.ones(5)
    buffers = {name: buffer.clone() for name, buffer in made.named_buffers()}
    flags = {name: parameter.requires_grad for name, parameter in made.named_parameters()}
    before, filters, handlers = copied(made), list(warnings.filters), list(logging.root.handlers)
    head = retrained(singles(0, 1, 2, 3, 4))
    radii(made, head, images(2), bound=bound, precision=1.0, smallest=0.01, largest=0.1, rows=2, **_few(bound))
    require_untouched(before, made, bound)
    assert {name: parameter.requires_grad for name, parameter in made.named_parameters()} == flags
    assert sorted(set(flags.values())) == [False, True]
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in made.named_buffers())
    assert torch.equal(made.last.bias.grad, torch.ones(5))
    assert (torch.get_default_dtype(), torch.is_grad_enabled()) == (torch.float32, True)
    assert (list(warnings.filters), list(logging.root.handlers)) == (filters, handlers)
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("lirpa")
def test_a_dropout_is_the_identity_and_stays_in_the_users_network():
    plain = dense(64, 8, 3)
    dropping = nn.Sequential(*[part for layer in plain for part in (layer, nn.Dropout(0.5))]).eval()
    box, rows = boxes(images(3), 0.02), random_rows(3, 2, 3)
    found = Engine(dropping, "crown", 1).lowest(box, rows)
    assert torch.allclose(found, Engine(plain.eval(), "crown", 1).lowest(box, rows))
    assert sum(type(layer) is nn.Dropout for layer in dropping) == 4


@pytest.mark.usefixtures("lirpa")
def test_the_engine_refuses_a_network_in_train_mode():
    made = network("residual")
    made.norm.train()
    with pytest.raises(HierclsError, match="train mode depends on its batch"):
        Engine(made, "ibp", 1)


@pytest.mark.usefixtures("lirpa")
def test_what_is_deployed_decides_and_is_bounded_in_eval_mode():
    head, x = retrained(singles(0, 1, 2, 3, 4)), images(4)
    expected = radii(network("residual"), head, x, bound="ibp")
    found = radii(network("residual").train(), head, x, bound="ibp")
    assert torch.equal(expected[0], found[0])
    assert torch.equal(expected[1], found[1])
    assert bool(found[1].any())


@pytest.mark.usefixtures("lirpa")
@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([nn.LeakyReLU(-0.2)], r"a leaky ReLU of slope -0.2 is bounded only in \[0, 1\]"),
        ([nn.LeakyReLU(1.5)], r"a leaky ReLU of slope 1.5 is bounded only in \[0, 1\]"),
        ([nn.Unflatten(1, (1, 2, 1)), nn.MaxPool2d(2, padding=1), nn.Flatten()], "a max pool with padding"),
        ([nn.GELU()], r"Sequential cannot be bounded by ibp: no rule for onnx::Erf"),
        ([Branching()], "cannot be bounded by ibp: .*[Tt]race"),
        ([Mixing()], "depend on other rows of the batch"),
        ([Overwriting()], "lie outside the bounds that auto_LiRPA gives"),
    ],
)
def test_what_cannot_be_bounded_is_refused_with_a_reason(layers, message, capfd, caplog):
    torch.manual_seed(0)
    refused = nn.Sequential(nn.Flatten(), nn.Linear(4, 2), *layers).eval()
    head, x = retrained(singles(0, 1)), images(2)[:, :, :2, :2]
    with pytest.raises(HierclsError, match=message):
        radii(refused, head, x)
    assert capfd.readouterr() == ("", ""), "an engine that fails prints no traceback of its own"
    assert not caplog.records


@pytest.mark.usefixtures("lirpa")
def test_patches_that_do_not_know_an_operation_say_so():
    with pytest.raises(HierclsError, match="Residual cannot be bounded by crown with convolutions as patches: "):
        Engine(network("residual"), "crown", 1, "patches").lowest(boxes(images(2), 0.1), random_rows(2, 1, 5))


@pytest.mark.usefixtures("lirpa")
def test_bounds_that_do_not_hold_are_refused(monkeypatch):
    """An engine that is wrong by 1% of a bound is found out on random boxes."""
    right = Engine._lowest

    def wrong(self, box, rows, bound):
        found = right(self, box, rows, bound)
        return found + 0.01 * found.abs()

    monkeypatch.setattr(Engine, "_lowest", wrong)
    with pytest.raises(HierclsError, match="lie outside the bounds that auto_LiRPA gives by crown"):
        radii(network("dense"), retrained(singles(0, 1, 2, 3, 4)), images(2), bound="crown")


# where it is not there


def test_a_missing_engine_is_told_with_its_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "auto_LiRPA", None)
    with pytest.raises(PluginError) as told:
        prover(network("dense"), [retrained(singles(0, 1, 2, 3, 4))])
    assert told.value.exit_code == 4
    assert str(told.value) == (
        "auto_LiRPA is not installed; install it with: pip install appdirs graphviz packaging tqdm && "
        "pip install --no-deps git+https://github.com/Verified-Intelligence/auto_LiRPA.git"
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "import no_such_module_at_all",
            "strange does not import (No module named 'no_such_module_at_all'); install it",
        ),
        ("import torch; torch.no_such_name", "strange does not import (module 'torch' has no attribute"),
        ("raise RuntimeError('two versions')", "strange does not import (two versions); install it with: the line"),
    ],
)
def test_a_package_that_does_not_import_is_told(tmp_path: Path, monkeypatch, source, message):
    (tmp_path / "strange.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(PluginError) as told:
        Package("strange", "the line").load()
    assert message in str(told.value)
    assert "strange" not in sys.modules


def test_an_import_changes_no_setting_of_the_process(tmp_path: Path, monkeypatch):
    text = "import logging, warnings\nwarnings.simplefilter('once')\nwarnings.warn('old')\n"
    text += "logging.root.addHandler(logging.NullHandler())\nlogging.root.setLevel(1)\n"
    (tmp_path / "loud_package.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = list(warnings.filters), list(logging.root.handlers), logging.root.level
    with warnings.catch_warnings(record=True) as heard:
        Package("loud_package", "the line").load()
    assert (list(warnings.filters), list(logging.root.handlers), logging.root.level) == before
    assert not heard
    monkeypatch.delitem(sys.modules, "loud_package")


# options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bound": "beta-crown"}, "bound"),
        ({"iterations": 5}, "iterations are those of alpha-crown; crown-ibp optimises nothing"),
        ({"bound": "alpha-crown", "iterations": 0}, "greater than or equal to 1"),
        ({"bound": "ibp", "convolutions": "patches"}, "patches is for linear bounds; ibp uses neither"),
        ({"rows": 24}, r"rows \(24\) must divide 256"),
        ({"rows": 512}, "less than or equal to 256"),
        ({"smallest": 0.5, "largest": 0.1}, r"smallest \(0.5\) must lie below largest \(0.1\)"),
        ({"precision": 0}, "greater than or equal to 0.000001"),
    ],
)
def test_an_option_that_means_nothing_is_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        AutoLirpa(**options)


def test_its_arithmetic_says_which_network_is_enclosed():
    assert AutoLirpa().arithmetic("cuda:1") == {
        "device": "cuda",
        "dtype": "float32",
        "bounds": "float64, of the real-valued network",
        "tile": "256",
    }


def test_its_spec_names_the_package_and_its_module_needs_no_engine(monkeypatch):
    from hiercls_plugins.auto_lirpa.plugin import hiercls_components

    monkeypatch.setitem(sys.modules, "auto_LiRPA", None)
    (spec,) = hiercls_components()
    assert (spec.kind, spec.name, spec.packages) == ("certifier", "auto-lirpa", (AUTO_LIRPA,))
    assert AutoLirpa().norm == LINF
