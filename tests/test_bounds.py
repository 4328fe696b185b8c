"""Interval bounds against closed forms, exact rational arithmetic, brute force and torch's own gradients."""

from copy import deepcopy
from fractions import Fraction
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hiercls.testing.components import copied, require_untouched
from hiercls.values.heads import Head, restricted, retrained
from hiercls.words.errors import HierclsError, OutsideDomain
from hiercls.words.threats import EVERYWHERE, Domain
from hiercls_plugins.bounds.bounded import Bounded
from hiercls_plugins.bounds.boxes import Box, around, enclosing
from hiercls_plugins.bounds.exclusion import excluded
from hiercls_plugins.bounds.precision import FullPrecision, full_precision
from hiercls_plugins.bounds.rounding import FLOAT32, PLAIN
from hiercls_plugins.bounds.search import Search, largest_budgets

UNIT = Domain()


class Standardised(nn.Module):
    """(x - mean) / std, then a network."""

    def __init__(self, network):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.3, 0.5]).view(1, 2, 1, 1))
        self.register_buffer("std", torch.tensor([0.2, 0.4]).view(1, 2, 1, 1))
        self.network = network

    def forward(self, x):
        return self.network((x - self.mean) / self.std)


class Residual(nn.Module):
    """A block with a projected shortcut; the batch norm after the sum cannot fold into a layer."""

    def __init__(self, channels, maps):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(channels, maps, 3, 1, 1, bias=False), nn.BatchNorm2d(maps), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(maps, maps, 3, 1, 1), nn.BatchNorm2d(maps))
        self.shortcut = nn.Conv2d(channels, maps, 1)
        self.after = nn.BatchNorm2d(maps)

    def forward(self, x):
        return F.relu(self.after(self.second(self.first(x)) + self.shortcut(x)))


class Forked(nn.Module):
    """A convolution whose output goes into a batch norm and around it."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(2, 3, 3)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x):
        x = self.convolution(x)
        return self.norm(x) + x


class Functions(nn.Module):
    """The same operations as functions and methods, with constants on either side."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 2, 3, 3))
        self.head = nn.Parameter(torch.randn(4, 27))
        self.offset = nn.Parameter(torch.randn(3, 1, 1))

    def forward(self, x):
        x = F.conv2d(F.pad(1 - x * 0.5, (1, 1, 1, 1), value=0.25), self.weight, stride=2)
        x = torch.cat([F.leaky_relu(x + self.offset, 0.2), -x[:, :1].relu()], dim=1)[:, :3]
        x = F.max_pool2d(x, 2, 1) - F.avg_pool2d(x, 2, stride=1) / 3
        x += torch.tanh(x)
        x = torch.sigmoid(x).view(x.size(0), -1)
        return F.linear(x, self.head)


def convolutional(*layers):
    """Layers between (2, 8, 8) and four outputs."""
    with torch.no_grad():
        entries = nn.Sequential(*layers, nn.Flatten())(torch.zeros(2, 2, 8, 8)).shape[1]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(entries, 4))


NETWORKS = {
    "dense": lambda: nn.Sequential(nn.Flatten(), nn.Linear(128, 20), nn.BatchNorm1d(20), nn.ReLU(), nn.Linear(20, 4)),
    "strided": lambda: convolutional(nn.Conv2d(2, 5, 4, 2, 1), nn.BatchNorm2d(5), nn.ReLU(), nn.Conv2d(5, 6, 3, 2)),
    "grouped": lambda: convolutional(nn.Conv2d(2, 4, 3, padding=2, dilation=2, groups=2), nn.LeakyReLU(0.1)),
    "circular": lambda: convolutional(nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), nn.ReLU()),
    "same": lambda: convolutional(nn.Conv2d(2, 3, 3, padding="same"), nn.ReLU(), nn.Dropout(0.5)),
    "pools": lambda: convolutional(nn.Conv2d(2, 4, 3, 1, 1), nn.MaxPool2d(3, 2, 1), nn.Tanh(), nn.AvgPool2d(2)),
    "adaptive": lambda: convolutional(nn.ZeroPad2d(1), nn.Conv2d(2, 4, 3), nn.Sigmoid(), nn.AdaptiveAvgPool2d(2)),
    "folded back": lambda: convolutional(nn.Conv2d(2, 3, 3), nn.LeakyReLU(-0.3), nn.ConstantPad2d(1, 0.5)),
    "standardised": lambda: Standardised(convolutional(nn.Conv2d(2, 4, 3), nn.ReLU())),
    "residual": lambda: convolutional(Residual(2, 4), nn.MaxPool2d(2), Residual(4, 3), nn.AdaptiveAvgPool2d(1)),
    "residual blocks": lambda: convolutional(Residual(2, 4), Residual(4, 3), nn.AvgPool2d(2)),
    "forked": lambda: convolutional(Forked(), nn.ReLU()),
    "functions": Functions,
    "no linear end": lambda: nn.Sequential(nn.Conv2d(2, 4, 8), nn.Flatten(), nn.Linear(4, 4), nn.ReLU()),
}


def network(name, seed=0):
    """In eval mode, with running statistics that are not those of its beginning."""
    torch.manual_seed(seed)
    made = NETWORKS[name]()
    for layer in made.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(layer.weight)
            nn.init.normal_(layer.bias)
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
    return made.eval()


def certifying(made):
    return Bounded(deepcopy(made).double(), FLOAT32)


def linear(weight, bias=None):
    weight = torch.tensor(weight)
    layer = nn.Linear(weight.shape[1], len(weight))
    layer.load_state_dict({"weight": weight, "bias": torch.zeros(len(weight)) if bias is None else torch.tensor(bias)})
    return nn.Sequential(nn.Flatten(), layer).eval()


def members(box, count, seed=1):
    """Corners and random points of each box, (count, N, ...) float64."""
    generator = torch.Generator().manual_seed(seed)
    share = 2 * torch.rand(count, *box.centre.shape, generator=generator, dtype=torch.float64) - 1
    share[: count // 2] = share[: count // 2].sign()
    points = box.centre + share * box.radius
    return torch.minimum(torch.maximum(points, box.lower), box.upper)


def test_a_linear_function_on_a_box_has_the_bounds_of_its_corners():
    box = Box(torch.tensor([[5.0, 3.0]]), torch.tensor([[1.0, 2.0]]))
    found = Bounded(linear([[-1.0, 5.0]])).outputs(box)
    assert found.lower.item() == -1
    assert found.upper.item() == 21


def test_a_certificate_widens_a_box_by_a_few_parts_in_a_million():
    box = Box(torch.tensor([[5.0, 3.0]]).double(), torch.tensor([[1.0, 2.0]]).double())
    found = certifying(linear([[-1.0, 5.0]])).outputs(box)
    assert -1 - 2e-5 < found.lower.item() < -1
    assert 21 < found.upper.item() < 21 + 2e-5


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


@pytest.mark.parametrize("name", NETWORKS)
def test_widened_bounds_hold_the_plain_ones_and_little_more(name):
    made = network(name).double()
    box = enclosing(torch.rand(4, 2, 8, 8), torch.full((4,), 0.01, dtype=torch.float64), UNIT)
    plain, wide = Bounded(made).outputs(box), certifying(made).outputs(box)
    assert bool((wide.lower < plain.lower).all() & (wide.upper > plain.upper).all())
    assert bool((wide.radius <= 1.01 * plain.radius + 1e-4).all())


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


def test_bounds_hold_a_float32_network_that_loses_its_digits():
    """Large terms cancel: in float32 the small one is lost, and only the widened bounds know."""
    made = linear([[2.0**24, 1.0, -(2.0**24)]])
    x = torch.ones(1, 3)
    box = enclosing(x, torch.zeros(1, dtype=torch.float64), EVERYWHERE)
    deployed = made(x).item()
    exact = Bounded(deepcopy(made).double()).outputs(box)
    assert exact.centre.item() == 1
    wide = certifying(made).outputs(box)
    assert wide.lower.item() <= deployed <= wide.upper.item()
    assert wide.radius.item() > 1


@pytest.mark.parametrize("domain", [EVERYWHERE, Domain("box", 0.1, 0.9)])
def test_a_box_holds_the_closed_ball_whatever_float64_rounds(domain):
    x = 0.15 + 0.7 * torch.rand(60, 7, generator=torch.Generator().manual_seed(0))
    budget = torch.full((60,), 0.1, dtype=torch.float64)
    box = enclosing(x, budget, domain)
    for n, k in product(range(60), range(7)):
        point, middle, radius = (Fraction(v[n, k].item()) for v in (x, box.centre, box.radius))
        lower, upper = point - Fraction(0.1), point + Fraction(0.1)
        if domain.bounded:
            lower, upper = max(lower, Fraction(0.1)), min(upper, Fraction(0.9))
        assert middle - radius <= lower
        assert middle + radius >= upper


def test_a_float32_budget_is_refused_because_it_may_be_smaller_than_what_was_asked():
    assert Fraction(torch.tensor(0.01, dtype=torch.float32).item()) < Fraction(1, 100)
    with pytest.raises(ValueError, match="float64"):
        enclosing(torch.rand(1, 3), torch.tensor([0.01]), UNIT)


def test_boxes_end_where_the_domain_ends():
    x = torch.tensor([[0.0, 0.95, 0.5]])
    box = enclosing(x, torch.tensor([0.1], dtype=torch.float64), UNIT)
    assert box.lower.tolist()[0] == pytest.approx([0.0, 0.85, 0.4])
    assert box.upper.tolist()[0] == pytest.approx([0.1, 1.0, 0.6])
    trained = around(x, 0.1, UNIT)
    assert trained.lower.tolist()[0] == pytest.approx([0.0, 0.85, 0.4], abs=1e-6)
    assert trained.upper.tolist()[0] == pytest.approx([0.1, 1.0, 0.6])
    assert enclosing(x, torch.tensor([0.1], dtype=torch.float64), EVERYWHERE).lower[0, 0].item() < -0.0999


def test_an_input_outside_the_domain_is_an_error():
    for wrong in (1.5, torch.nan):
        with pytest.raises(OutsideDomain):
            enclosing(torch.full((1, 3), wrong), torch.tensor([0.1], dtype=torch.float64), UNIT)


def test_every_input_has_its_own_budget():
    made = certifying(network("strided"))
    x = torch.rand(4, 2, 8, 8)
    budgets = torch.tensor([0.0, 0.01, 0.05, 0.2], dtype=torch.float64)
    together = made.outputs(enclosing(x, budgets, UNIT))
    for n in range(4):
        alone = made.outputs(enclosing(x[n : n + 1], budgets[n : n + 1], UNIT))
        assert torch.allclose(together.lower[n], alone.lower[0], rtol=0, atol=1e-12)
        assert torch.allclose(together.upper[n], alone.upper[0], rtol=0, atol=1e-12)


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
            layer.running_mean.copy_(statistics[layer].mean.detach())
            layer.running_var.copy_((layer.weight / statistics[layer].scale).detach() ** 2 - layer.eps)
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


def test_an_unknown_operation_is_named():
    class Sine(nn.Module):
        def forward(self, x):
            return torch.sin(x.flatten(1))

    class Cumulated(nn.Module):
        def forward(self, x):
            return x.flatten(1).cumsum(1)

    for made, message in (
        (nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.GELU()), "GELU at '2'"),
        (nn.Sequential(nn.SiLU()), "SiLU at '0'"),
        (nn.Sequential(nn.Mish()), "Mish at '0'"),
        (nn.Sequential(nn.Flatten(), nn.GroupNorm(2, 4)), "GroupNorm at '1'"),
        (Sine(), "function 'sin'"),
        (Cumulated(), "method 'cumsum'"),
    ):
        with pytest.raises(HierclsError, match=message):
            Bounded(made.eval())


def test_what_a_network_may_not_do_is_said_clearly():
    class Branches(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    class Squares(nn.Module):
        def forward(self, x):
            return x.flatten(1) * x.flatten(1)

    class Reciprocal(nn.Module):
        def forward(self, x):
            return 1 / x.flatten(1)

    class Values(nn.Module):
        def forward(self, x):
            return x.T

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(4)

        def forward(self, x):
            return self.norm(self.norm(x))

    box = Box(torch.rand(2, 4), torch.rand(2, 4))
    with pytest.raises(HierclsError, match="cannot be traced"):
        Bounded(Branches().eval())
    with pytest.raises(HierclsError, match="product of two activations"):
        Bounded(Squares().eval()).outputs(box)
    with pytest.raises(HierclsError, match="division by an activation"):
        Bounded(Reciprocal().eval()).outputs(box)
    with pytest.raises(HierclsError, match="attribute 'T'"):
        Bounded(Values().eval()).outputs(box)
    with pytest.raises(HierclsError, match="applied twice"):
        Bounded(Twice().train())
    with pytest.raises(HierclsError, match="without running statistics"):
        Bounded(nn.Sequential(nn.BatchNorm1d(4, track_running_stats=False)).eval()).outputs(box)
    with pytest.raises(HierclsError, match="Dropout at '0' in train mode"):
        Bounded(nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 4)).train()).outputs(box)


def test_specification_rows_merge_into_the_last_layer():
    """(W_0 - W_1) sees what both rows share; bounding the outputs apart does not."""
    made = linear([[3.0, 1.0], [3.0, -1.0]]).double()
    features = Bounded(made).features(Box(torch.tensor([[1.0, 2.0]]).double(), torch.tensor([[1.0, 0.5]]).double()))
    rows = torch.tensor([[[1.0, -1.0]]], dtype=torch.float64)
    assert features.lowest(rows).item() == 2 * 2.0 - 2 * 0.5
    apart = features.outputs()
    assert (apart.lower[0, 0] - apart.upper[0, 1]).item() < features.lowest(rows).item()


def every_exclusion(weight, bias, centre, radius, head):
    """The rule by its words, in loops."""
    found = []
    for c, group in enumerate(head.outputs):
        beaten = []
        for j in group:
            leads = []
            for other, rivals in enumerate(head.outputs):
                for i in rivals:
                    slope = weight[i] - weight[j]
                    leads.append(other != c and (slope @ centre - slope.abs() @ radius + bias[i] - bias[j]).item() > 0)
            beaten.append(any(leads))
        found.append(all(beaten))
    return found


HEADS = (
    retrained([frozenset((k,)) for k in range(5)]),
    restricted([frozenset((0,)), frozenset((2,)), frozenset((4,))]),
    restricted([frozenset((0, 3)), frozenset((1, 2, 4))]),
    Head((frozenset((0,)), frozenset((1,))), ((3, 1), (0,))),
)


@pytest.mark.parametrize("head", HEADS)
def test_a_child_is_excluded_when_some_output_outside_beats_each_of_its_own(head):
    made = nn.Sequential(nn.Flatten(), nn.Linear(6, 5)).double().eval()
    torch.manual_seed(1)
    nn.init.normal_(made[1].weight)
    box = Box(torch.rand(60, 6).double(), 0.1 * torch.rand(60, 6).double())
    found = excluded(Bounded(made, FLOAT32).features(box), head, FLOAT32)
    expected = [
        every_exclusion(made[1].weight.detach(), made[1].bias.detach(), c, r, head)
        for c, r in zip(box.centre, box.radius, strict=True)
    ]
    assert found.tolist() == expected
    assert 0 < found.float().mean() < 1


@pytest.mark.parametrize("head", HEADS)
def test_no_point_of_a_box_chooses_an_excluded_child(head):
    torch.manual_seed(2)
    made = nn.Sequential(nn.Flatten(), nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 5)).double().eval()
    box = enclosing(torch.rand(80, 6), torch.full((80,), 0.05, dtype=torch.float64), UNIT)
    found = excluded(Bounded(made, FLOAT32).features(box), head, FLOAT32)
    assert bool(found.any())
    for points in members(box, 60):
        chosen = head.decide(made(points))
        assert not bool(found.gather(1, chosen[:, None]).any())


def test_permuted_children_are_excluded_alike():
    torch.manual_seed(2)
    made = nn.Sequential(nn.Flatten(), nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3)).double().eval()
    box = enclosing(torch.rand(40, 6), torch.full((40,), 0.03, dtype=torch.float64), UNIT)
    features = Bounded(made, FLOAT32).features(box)
    children = (frozenset((0,)), frozenset((1,)), frozenset((2,)))
    straight = excluded(features, Head(children, ((0,), (1,), (2,))), FLOAT32)
    turned = excluded(features, Head(children, ((2,), (0,), (1,))), FLOAT32)
    assert torch.equal(straight[:, [2, 0, 1]], turned)


class Written(nn.Module):
    """A network of one function of itself and its input."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.layer = nn.Linear(4, 4)
        self.relu = nn.ReLU(inplace=True)
        self.register_buffer("offset", torch.zeros(4))

    def forward(self, x):
        return self.function(self, x)


def pre_activation(net, x):
    h = net.layer(x)
    return net.layer(net.relu(h)) + h


def augmented(net, x):
    h = net.layer(x)
    before = h
    h += 1.0
    return before


def through_a_view(net, x):
    h = net.layer(x)
    return F.relu(h.view(-1, 4), inplace=True) + h


def dropped(net, x):
    h = net.layer(x)
    h.mul_(2)
    return h


def view_of_old_values(net, x):
    h = net.layer(x)
    first = h[:, :2]
    h = torch.relu(h) + F.relu(h, True)
    return torch.cat([h, first], dim=1)


def transposed(net, x):
    h = net.layer(x)
    h += h.transpose(0, 1)
    return h


def into_a_buffer(net, x):
    return torch.add(net.layer(x), 1.0, out=net.offset)


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (pre_activation, "ReLU at 'relu' works in place"),
        (augmented, "function 'iadd' works in place"),
        (through_a_view, "function 'relu' works in place"),
        (dropped, "method 'mul_' of a tensor works in place"),
        (view_of_old_values, "function 'relu' works in place"),
        (transposed, "function 'iadd' works in place, and reads what it overwrites"),
        (into_a_buffer, "overwrites the input, a parameter or a buffer"),
        (lambda net, x: net.relu(x), "overwrites the input"),
        (lambda net, x: net.relu(x.flatten(1)), "overwrites the input"),
    ],
)
def test_values_that_are_overwritten_and_used_again_are_refused(function, named):
    with pytest.raises(HierclsError, match=named):
        Bounded(Written(function).eval())


def post_activation(net, x):
    h = net.relu(net.layer(x))
    shortcut = h
    h = net.layer(h)
    h += shortcut
    h = F.relu(h.view(-1, 4), True)
    count = h.size(0)
    count += 0
    return h.view(count, -1)


def test_work_in_place_on_values_that_nobody_else_reads_is_bounded_as_torch_computes_it():
    made = Written(post_activation).eval()
    x = torch.rand(6, 4)
    found = certifying(made).outputs(enclosing(x, torch.zeros(6, dtype=torch.float64), UNIT))
    with torch.no_grad():
        assert bool(((made(x).double() - found.centre).abs() <= found.radius).all())


def hooked(kind):
    made = linear([[1.0], [-1.0]])
    if kind == "hook":
        made[1].register_forward_hook(lambda layer, given, y: y + 1)
    elif kind == "pre-hook":
        made[1].register_forward_pre_hook(lambda layer, given: given[0] + 1)
    else:
        made[1].forward = lambda x: x + 1
    return made


@pytest.mark.parametrize("kind", ["hook", "pre-hook", "forward"])
def test_a_layer_with_a_hook_or_a_forward_of_its_own_is_refused(kind):
    with pytest.raises(HierclsError, match="Linear at '1' has a hook or a forward of its own"):
        Bounded(hooked(kind))


def test_a_tensor_that_a_network_makes_up_is_refused():
    with pytest.raises(HierclsError, match="neither a parameter nor a buffer"):
        Bounded(Written(lambda net, x: net.layer(x) + torch.rand(4)).eval())


@pytest.mark.parametrize(
    "function",
    [
        lambda net, x: net.layer(x - x.mean(0, keepdim=True)),
        lambda net, x: net.layer(x - x.mean()),
        lambda net, x: net.layer(torch.cat([x, x])),
    ],
)
def test_operations_along_the_batch_have_no_rule(function):
    with pytest.raises(HierclsError, match="along the batch"):
        Bounded(Written(function).eval()).outputs(Box(torch.rand(2, 4), torch.rand(2, 4)))


def test_an_average_pool_that_turns_signs_is_refused():
    box = enclosing(torch.rand(1, 1, 2, 2), torch.tensor([0.1], dtype=torch.float64), UNIT)
    for layer in (nn.AvgPool2d(2, divisor_override=-4), Written(lambda net, x: F.avg_pool2d(x, 2, divisor_override=0))):
        with pytest.raises(HierclsError, match="divisor_override"):
            certifying(layer.eval()).outputs(box)
    found = Bounded(nn.AvgPool2d(2, divisor_override=8).eval()).outputs(
        Box(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2))
    )
    assert found.radius.item() == 0.5


def test_a_negative_radius_certifies_nothing():
    with pytest.raises(HierclsError, match="negative radius"):
        FLOAT32.widened(Box(torch.zeros(1, 2).double(), torch.tensor([[1.0, -1e-9]]).double()), 1)


TWO = retrained([frozenset((0,)), frozenset((1,))])


def certified(made, x, budget, domain=UNIT):
    """Whether each child is excluded around one input."""
    box = enclosing(x, torch.tensor([budget], dtype=torch.float64), domain)
    return excluded(certifying(made).features(box), TWO, FLOAT32)[0].tolist()


def layers(*weights):
    """Dense layers without bias, ReLU between them."""
    made = [nn.Flatten()]
    for weight in weights:
        made += [*linear(weight)[1:], nn.ReLU()]
    return nn.Sequential(*made[:-1]).eval()


@pytest.mark.parametrize(
    "made",
    [
        layers([[0.0], [1.4e-45]]),
        layers([[1e-15]], [[0.0], [1e-30]]),
        layers([[1e-25]], [[1e-25]], [[0.0], [1e30]]),
    ],
)
def test_products_that_underflow_are_not_certified(made):
    """Real-valued, output 1 leads wherever x > 0; in float32 its products are lost near 0."""
    x = torch.tensor([[0.9]])
    assert TWO.decide(made(torch.full((1, 1), 1e-10))).item() == 0, "a tie"
    assert TWO.decide(made.double()(torch.full((1, 1), 1e-10).double())).item() == 1
    assert certified(made.float(), x, 0.8999) == [False, False]


def test_a_factor_that_is_flushed_to_zero_is_not_certified():
    """Where subnormal numbers are flushed the small weight is 0, whatever large number it would multiply."""
    made = layers([[1e36]], [[0.0], [1e-38]])
    assert certified(made, torch.tensor([[0.9]]), 0.1) == [False, False]


def cancelling(made, weight, bias):
    with torch.no_grad():
        made.weight.copy_(torch.tensor(weight).reshape(made.weight.shape))
        made.bias.fill_(bias)
    return made


def tailed(*head):
    """Layers to one number, which must lie below 1e36 for output 1 to lead."""
    end = nn.Linear(1, 2)
    with torch.no_grad():
        end.weight.copy_(torch.tensor([[1e-36], [0.0]]))
        end.bias.copy_(torch.tensor([0.0, 10.0]))
    return nn.Sequential(*head, nn.Flatten(), end).eval()


def normed():
    norm = nn.BatchNorm1d(1, eps=0.0)
    with torch.no_grad():
        norm.running_mean.fill_(0.5)
        norm.weight.fill_(3e38)
        norm.bias.zero_()
    return norm


@pytest.mark.parametrize(
    "made",
    [
        tailed(nn.Flatten(), cancelling(nn.Linear(4, 1), [[-3e38, -3e38, 3e38, 3e38]], 5e36)),
        tailed(cancelling(nn.Conv2d(1, 1, 2), [-3e38, -3e38, 3e38, 3e38], 5e36)),
        tailed(nn.Flatten(), linear([[0.25] * 4])[1], normed()),
        tailed(cancelling(nn.Conv2d(1, 1, 1), [1e37], 0.0), nn.AdaptiveAvgPool2d(1)),
        tailed(Written(lambda net, x: (x * 9e36 + x * 9e36) - x * 9e36 - x * 9e36), nn.AdaptiveAvgPool2d(1)),
    ],
    ids=["dense", "convolution", "batch norm", "mean", "sum"],
)
def test_a_partial_sum_that_may_overflow_is_not_certified(made):
    """What overflows may cancel in the result, or be divided again."""
    assert certified(made, torch.full((1, 1, 2, 2), 0.5), 1e-9) == [False, False]


def test_a_mean_whose_sum_overflows_is_not_certified():
    made = tailed(cancelling(nn.Conv2d(1, 1, 1), [1.5e37], 0.0), nn.AvgPool2d(8))
    x = torch.full((1, 1, 8, 8), 0.5)
    assert not bool(made(x).isfinite().all())
    assert certified(made, x, 0.0) == [False, False]


def test_an_output_that_may_overflow_abstains_so_nothing_is_excluded():
    made = linear([[3e38, 3e38], [0.0, 0.0]])
    assert TWO.decide(made(torch.full((1, 2), 0.8))).item() < 0
    assert certified(made, torch.full((1, 2), 0.5), 0.3) == [False, False]


def test_ties_nan_and_overflow_exclude_nothing():
    head = retrained([frozenset((0,)), frozenset((1,))])
    box = enclosing(torch.full((1, 2), 0.5), torch.tensor([0.0], dtype=torch.float64), UNIT)
    for weight in ([[1.0, 1.0], [1.0, 1.0]], [[torch.nan, 1.0], [0.0, 0.0]], [[torch.inf, 1.0], [0.0, 0.0]]):
        made = certifying(linear(weight))
        assert not bool(excluded(made.features(box), head, FLOAT32).any())
    large = nn.Sequential(*linear([[1e25, 0.0]]), nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 2)).eval()
    with torch.no_grad():
        large[2].weight.fill_(1e25)
        large[4].weight.copy_(torch.tensor([[1e-25], [-1e-25]]))
    assert not bool(head.decide(large(torch.full((1, 2), 0.5))) >= 0), "in float32 it overflows"
    assert not bool(excluded(certifying(large).features(box), head, FLOAT32).any())


def test_a_margin_that_float32_loses_in_the_last_layer_excludes_nothing():
    """The rows differ by 1, which neither output can show beside 2^24: deployed, they tie."""
    made = linear([[2.0**24, 1.0], [2.0**24, 0.0]])
    x = torch.ones(1, 2)
    assert made(x)[0, 0] == made(x)[0, 1]
    features = certifying(made).features(enclosing(x, torch.zeros(1, dtype=torch.float64), UNIT))
    head = retrained([frozenset((0,)), frozenset((1,))])
    assert excluded(features, head, PLAIN).tolist() == [[False, True]]
    assert excluded(features, head, FLOAT32).tolist() == [[False, False]]


def thresholds(exact):
    def holds(budgets):
        holds.seen.append(budgets)
        return budgets[:, None] <= exact

    holds.seen = []
    return holds


def test_the_search_reports_the_largest_tested_budget_that_holds():
    exact = torch.rand(50, 4, generator=torch.Generator().manual_seed(0)).double() ** 4
    holds = thresholds(exact)
    found = largest_budgets(holds, 50, Search(1e-4, 1.0, 0.002))
    assert bool((found <= exact).all())
    above = exact >= 1e-4
    assert bool((found[above] >= exact[above] * 0.998).all())
    assert not bool(found[~above].any())
    tested = torch.stack(holds.seen, dim=1)
    for n, k in product(range(50), range(4)):
        assert found[n, k] == 0 or bool((tested[n] == found[n, k]).any())
    assert len(holds.seen) < 4 * 14


def test_an_asked_budget_is_tested_itself():
    exact = torch.full((3, 2), 0.1, dtype=torch.float64)
    found = largest_budgets(thresholds(exact), 3, Search(1e-4, 1.0, 0.5, asked=(0.1, 0.2)))
    assert bool((found == 0.1).all())


def test_the_search_ends_at_its_largest_budget():
    found = largest_budgets(thresholds(torch.full((1, 1), 9.0)), 1, Search(1e-4, 0.3, 0.01))
    assert found.item() == 0.3


def test_a_row_of_the_search_does_not_depend_on_its_neighbours():
    exact = torch.rand(20, 3, generator=torch.Generator().manual_seed(0)).double()
    search = Search(1e-3, 1.0, 0.003, (0.1,))
    together = largest_budgets(thresholds(exact), 20, search)
    for n in range(20):
        assert torch.equal(largest_budgets(thresholds(exact[n : n + 1]), 1, search)[0], together[n])


def test_the_search_never_reports_a_budget_that_failed():
    """An answer that is not monotone: yes only on some budgets."""

    def holds(budgets):
        return ((budgets * 37).floor() % 2 == 0)[:, None]

    found = largest_budgets(holds, 1, Search(1e-3, 1.0, 0.001))
    assert bool(holds(found[0]).all())


def test_certificates_switch_reduced_precision_off_and_back():
    seen = []

    class Asks(nn.Module):
        def forward(self, x):
            seen.append(
                (torch.get_float32_matmul_precision(), torch.is_autocast_enabled("cpu"), torch.backends.cudnn.enabled)
            )
            return x

    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            FullPrecision(Asks())(torch.zeros(1))
            assert torch.is_autocast_enabled("cpu")
        assert torch.get_float32_matmul_precision() == "medium"
        with pytest.raises(KeyError), full_precision("cpu"):
            raise KeyError
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert seen == [("highest", False, False)]


def test_plain_rounding_widens_nothing():
    box = Box(torch.rand(2, 3), torch.rand(2, 3))
    assert PLAIN.widened(box, 9) is box
