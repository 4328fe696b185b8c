"""Linear bounds over interval bounds: closed forms, brute force, metamorphic relations and auto_LiRPA."""

from copy import deepcopy

import pytest
import torch
from bounds_toys import NETWORKS, certifying, linear, members, network
from torch import nn

from hiercls.words.threats import Domain
from hiercls_plugins.bounds.bounded import Bounded
from hiercls_plugins.bounds.boxes import Box, around, enclosing
from hiercls_plugins.bounds.crown import Crown
from hiercls_plugins.bounds.rounding import FLOAT32
from hiercls_plugins.bounds.training.fusion import fused_loss, margin_bounds

UNIT = Domain()
IMAGES = torch.rand(5, 2, 8, 8, generator=torch.Generator().manual_seed(0))


def crown(bounded, box, statistics=None):
    return Crown(bounded, bounded.features(box, statistics, keep=True), statistics)


def pairs(outputs, count):
    """Every difference of two outputs and every output alone, for each of `count` inputs."""
    identity = torch.eye(outputs)
    differences = (identity[:, None] - identity[None]).reshape(-1, outputs)
    return torch.cat([differences, identity]).expand(count, -1, -1)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("adaptive", [True, False])
@pytest.mark.parametrize("budget", [0.004, 0.1])
def test_no_point_of_a_box_falls_below_a_linear_bound_in_float64_or_in_float32(name, adaptive, budget):
    made = network(name)
    box = enclosing(IMAGES, torch.full((5,), budget, dtype=torch.float64), UNIT)
    rows = pairs(4, 5).double()
    lowest = crown(certifying(made), box).lowest(rows, adaptive)
    for points in members(box, 40):
        for arithmetic in (torch.float64, torch.float32):
            y = deepcopy(made).to(arithmetic)(points.to(arithmetic)).double()
            slack = 0 if arithmetic == torch.float64 else 1e-6  # the point itself was rounded
            assert bool(((rows @ y[:, :, None]).squeeze(2) >= lowest - slack).all())


@pytest.mark.parametrize("name", NETWORKS)
def test_at_budget_zero_a_linear_bound_is_the_network(name):
    made = network(name).double()
    x = IMAGES.double()
    rows = pairs(4, 5).double()
    found = crown(Bounded(made), Box(x, torch.zeros_like(x))).lowest(rows)
    torch.testing.assert_close(found, (rows @ made(x)[:, :, None]).squeeze(2))


def test_a_linear_network_has_its_exact_minimum():
    made = linear([[-1.0, 5.0], [2.0, 3.0]], [0.5, -1.0])
    box = Box(torch.tensor([[5.0, 3.0]]), torch.tensor([[1.0, 2.0]]))
    found = crown(Bounded(made), box).lowest(torch.tensor([[[1.0, 0.0], [1.0, -1.0]]]))
    assert found.tolist() == [[-1 + 0.5, -3 * 5 + 2 * 3 - (3 + 2 * 2) + 1.5]]


@pytest.mark.parametrize(
    ("slope", "row", "adaptive", "expected"),
    [
        (0.0, 1.0, True, -1.0),  # below: the line of slope 1, since 2 > 1
        (0.0, 1.0, False, 0.0),  # below: 0
        (0.0, -1.0, True, -2.0),  # above: 2/3 (v + 1), at 2
        (0.25, 1.0, True, -1.0),
        (0.25, 1.0, False, -0.25),  # below: v / 4, at -1
        (0.25, -1.0, False, -2.0),  # above: from (-1, -1/4) to (2, 2)
    ],
)
def test_one_relu_that_may_have_either_sign_lies_between_its_lines(slope, row, adaptive, expected):
    made = nn.Sequential(nn.LeakyReLU(slope) if slope else nn.ReLU()).eval()
    box = Box(torch.tensor([[0.5]]), torch.tensor([[1.5]]))
    assert crown(Bounded(made), box).lowest(torch.tensor([[[row]]]), adaptive).item() == pytest.approx(expected)


def test_what_cancels_along_two_ways_cancels_in_a_linear_bound():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(2, 3), nn.Linear(3, 2)

        def forward(self, x):
            h = self.first(x)
            return self.second(h) - self.second(h) * 2 + self.second(h)

    torch.manual_seed(0)
    box = Box(torch.zeros(1, 2), torch.ones(1, 2))
    bounded = Bounded(Twice().eval())
    assert crown(bounded, box).lowest(torch.eye(2)[None]).abs().max() < 1e-6
    assert bounded.outputs(box).radius.max() > 0.1


def test_permuted_outputs_folded_norms_and_a_scaled_last_layer_move_bounds_as_they_should():
    torch.manual_seed(3)
    layers = [nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 8), nn.ReLU()]
    made = nn.Sequential(*layers, nn.Linear(8, 3)).double().eval()
    made[1].running_mean.normal_()
    made[1].running_var.uniform_(0.5, 2)
    box = around(IMAGES.double(), 0.05, UNIT)
    rows = pairs(3, 5).double()
    usual = crown(Bounded(made), box).lowest(rows)
    permuted, scaled, folded = deepcopy(made), deepcopy(made), deepcopy(made)
    order = [2, 0, 1]
    with torch.no_grad():
        permuted[6].weight.copy_(made[6].weight[order])
        permuted[6].bias.copy_(made[6].bias[order])
        scaled[6].weight.mul_(3)
        scaled[6].bias.mul_(3)
    joined = nn.utils.fusion.fuse_conv_bn_eval(folded[0], folded[1])
    torch.testing.assert_close(crown(Bounded(permuted), box).lowest(rows[:, :, order]), usual)
    torch.testing.assert_close(crown(Bounded(scaled), box).lowest(rows), 3 * usual)
    merged = nn.Sequential(joined, *folded[2:]).eval()
    torch.testing.assert_close(crown(Bounded(merged), box).lowest(rows), usual)


def test_a_residual_block_split_in_two_sums_has_the_same_bounds():
    class Joined(nn.Module):
        def __init__(self, way):
            super().__init__()
            self.way = way

        def forward(self, x):
            return x + self.way(x)

    class Halved(Joined):
        def forward(self, x):
            h = self.way(x) * 0.5
            return (x + h) + h

    torch.manual_seed(0)
    way = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 4)).double().eval()
    box = Box(torch.rand(3, 4).double(), torch.full((3, 4), 0.2).double())
    rows = torch.eye(4).double().expand(3, 4, 4)
    whole, halved = (crown(Bounded(kind(way).eval()), box).lowest(rows) for kind in (Joined, Halved))
    torch.testing.assert_close(whole, halved)


@pytest.mark.parametrize("name", ["strided", "residual", "forked", "functions"])
def test_gradients_of_linear_bounds_are_those_of_finite_differences(name):
    made = network(name).double()
    box = around(IMAGES[:2].double(), 0.05, UNIT)
    rows = torch.tensor([[[1.0, -1, 0, 0], [0, 1, 0, -1]]]).expand(2, -1, -1).double()
    parameters = [parameter for parameter in made.parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.data.add_(0.01 * torch.randn_like(parameter))  # away from kinks
    total = crown(Bounded(made), box).lowest(rows).sum()
    gradients = torch.autograd.grad(total, parameters, allow_unused=True)
    direction = [torch.randn_like(parameter) for parameter in parameters]
    expected = sum(float((g * d).sum()) for g, d in zip(gradients, direction, strict=True) if g is not None)

    def moved(step):
        for parameter, way in zip(parameters, direction, strict=True):
            parameter.data.add_(step * way)
        value = float(crown(Bounded(made), box).lowest(rows).sum().detach())
        for parameter, way in zip(parameters, direction, strict=True):
            parameter.data.sub_(step * way)
        return value

    assert (moved(1e-7) - moved(-1e-7)) / 2e-7 == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_linear_bounds_in_training_are_those_in_eval_mode_with_the_statistics_of_the_batch():
    made = network("residual").train()
    bounded = Bounded(made)
    _, statistics = bounded.concrete(IMAGES)
    box = around(IMAGES, 0.02, UNIT)
    found = crown(bounded, box, statistics).lowest(pairs(4, 5))
    frozen = deepcopy(made).eval()
    for name, layer in made.named_modules():
        if isinstance(layer, nn.BatchNorm2d):
            scale, mean, _ = statistics.norms[layer]
            twin = frozen.get_submodule(name)
            twin.running_mean.copy_(mean.detach())
            twin.running_var.copy_((layer.weight / scale).detach() ** 2 - layer.eps)
    torch.testing.assert_close(found, crown(Bounded(frozen), box).lowest(pairs(4, 5)), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("budget", [0.0, 0.02, 0.1])
@pytest.mark.parametrize("rest", [0.0, 2.0])
def test_the_fused_loss_lies_above_the_loss_of_every_point(budget, rest):
    made = network("strided").double()
    bounded = Bounded(made)
    box = around(IMAGES.double(), budget, UNIT)
    y = torch.tensor([0, 1, 2, 3, 0])
    robust = torch.ones(5, 4, dtype=torch.bool).scatter_(1, y[:, None], False)
    robust[0, 2] = False
    found = fused_loss(crown(bounded, box), y, robust, torch.full((5,), rest).double())

    def loss(points):
        logits = made(points)
        margins = logits.gather(1, y[:, None]) - logits
        entries = torch.where(robust, -margins, -torch.inf)
        return torch.cat([entries, torch.full((5, 1), rest).double()], dim=1).logsumexp(dim=1)

    highest = torch.stack([loss(points) for points in members(box, 60)]).amax(dim=0)
    assert bool((found >= highest - 1e-9).all())
    if budget == 0:
        torch.testing.assert_close(found, highest)


def test_the_fused_loss_does_not_overflow_where_margins_are_far_below_zero():
    made = linear([[300.0, 0.0], [0.0, 300.0]])
    box = Box(torch.tensor([[0.0, 1.0]]), torch.full((1, 2), 0.5))
    y = torch.tensor([0])
    found = fused_loss(crown(Bounded(made), box), y, torch.tensor([[False, True]]), torch.zeros(1))
    assert found.item() == pytest.approx(600.0)


def test_margins_of_the_truth_have_their_interval_bounds():
    made = linear([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]], [0.0, 1.0, 0.0])
    box = Box(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.5, 0.25]]))
    lowest, highest = margin_bounds(Bounded(made).features(box), torch.tensor([2]))
    # y_2 - y_0 = b, y_2 - y_1 = a - b - 1
    assert lowest.tolist() == [[1.75, -2 - 0.75, 0.0]]
    assert highest.tolist() == [[2.25, -2 + 0.75, 0.0]]


@pytest.mark.parametrize("name", ["dense", "strided", "residual blocks", "forked", "standardised"])
def test_crown_ibp_is_that_of_auto_lirpa(name):
    lirpa = pytest.importorskip("auto_LiRPA")
    made = network(name)
    box = around(IMAGES, 0.02, UNIT)
    rows = pairs(4, 5)
    ours = crown(Bounded(made), box).lowest(rows)
    theirs = lirpa.BoundedModule(deepcopy(made), IMAGES, bound_opts={"conv_mode": "matrix"})
    inputs = lirpa.BoundedTensor(IMAGES, lirpa.PerturbationLpNorm(norm=float("inf"), x_L=box.lower, x_U=box.upper))
    found, _ = theirs.compute_bounds(x=(inputs,), C=rows.contiguous(), method="CROWN-IBP", bound_upper=False)
    torch.testing.assert_close(ours, found, rtol=1e-5, atol=1e-4)


def test_linear_bounds_need_the_boxes_of_all_operations():
    bounded = Bounded(network("dense"))
    with pytest.raises(ValueError, match="boxes of all operations"):
        Crown(bounded, bounded.features(around(IMAGES, 0.02, UNIT)))


def test_certified_linear_bounds_are_a_little_below_the_plain_ones():
    made = network("strided")
    box = enclosing(IMAGES, torch.full((5,), 0.02, dtype=torch.float64), UNIT)
    rows = pairs(4, 5).double()[:, :12]
    plain = crown(Bounded(deepcopy(made).double()), box).lowest(rows)
    certain = crown(Bounded(deepcopy(made).double(), FLOAT32), box).lowest(rows)
    gap = (plain - certain)[:, [1, 2, 3]]
    assert bool((gap > 0).all() & (gap < 0.01 * (1 + plain.abs()[:, [1, 2, 3]])).all())


def test_a_linear_bound_holds_of_a_float32_network_whose_layers_cancel():
    """h = (1e8 x, 1e8 x + 1), y = (h_1 - h_0, 1/2): really 1 against 1/2, in float32 0 against 1/2."""
    first, last = nn.Linear(1, 2), nn.Linear(2, 2)
    first.load_state_dict({"weight": torch.full((2, 1), 1e8), "bias": torch.tensor([0.0, 1.0])})
    last.load_state_dict({"weight": torch.tensor([[-1.0, 1.0], [0.0, 0.0]]), "bias": torch.tensor([0.0, 0.5])})
    made = nn.Sequential(first, last).eval()
    x = torch.tensor([[1.0]])
    box = enclosing(x, torch.zeros(1, dtype=torch.float64), UNIT)
    deployed = made(x)[0].detach()
    lowest = crown(certifying(made), box).lowest(torch.tensor([[[1.0, -1.0]]]).double())
    assert deployed[0] < deployed[1]
    assert lowest.item() <= float(deployed[0] - deployed[1])


def test_the_fused_loss_of_a_linear_network_is_that_of_its_chords_at_the_worst_corner():
    weight = torch.tensor([[0.0, 0.0], [-3.0, -1.0], [2.0, -1.0]]).double()  # its margins are lowest at two corners
    made = linear(weight.tolist()).double()
    box = Box(torch.tensor([[0.4, 0.6]]).double(), torch.tensor([[0.3, 0.2]]).double())
    corners = torch.tensor([[0.1, 0.4], [0.1, 0.8], [0.7, 0.4], [0.7, 0.8]]).double()
    margins = corners @ (weight[0] - weight[1:]).T
    low, high = margins.amin(dim=0), margins.amax(dim=0)
    slope = ((-high).exp() - (-low).exp()) / (high - low)
    chords = ((-low).exp() + slope * (margins - low)).sum(dim=1)
    robust = torch.tensor([[False, True, True]])
    found = fused_loss(crown(Bounded(made), box), torch.tensor([0]), robust, torch.zeros(1).double())
    assert found.item() == pytest.approx(float((1 + chords.max()).log()), rel=1e-6)
