"""What makes bounds cheap changes neither bounds, nor gradients, nor rows."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hiercls.contracts.context import Context
from hiercls.contracts.provers import Claim
from hiercls.values.draws import Purpose
from hiercls.values.heads import retrained
from hiercls.values.views import Inputs
from hiercls.words.norms import LINF
from hiercls.words.threats import Domain, Threat
from hiercls_plugins.bounds import monotone
from hiercls_plugins.bounds.backward import through_relu
from hiercls_plugins.bounds.bounded import Bounded
from hiercls_plugins.bounds.boxes import Box, around
from hiercls_plugins.bounds.crown import Crown
from hiercls_plugins.bounds.exclusion import exclusion_margins
from hiercls_plugins.bounds.lines import through_relu_in_training
from hiercls_plugins.bounds.rounding import FLOAT32, PLAIN
from hiercls_plugins.ibp.certifier import IbpCertifier


def boxes(seed=0):
    """Boxes below, around and above 0, some without width; nothing lies near an edge."""
    generator = torch.Generator().manual_seed(seed)
    centre = torch.randn(6, 9, generator=generator, dtype=torch.float64)
    radius = torch.rand(6, 9, generator=generator, dtype=torch.float64)
    radius[0] = 0
    radius[(centre.abs() - radius).abs() < 0.01] += 0.05
    return centre.requires_grad_(True), radius.requires_grad_(True)


def relu_by_corners(centre, radius):
    lower, upper = F.relu(centre - radius), F.relu(centre + radius)
    return (lower + upper) / 2, (upper - lower) / 2


def test_the_relu_of_a_box_is_that_of_its_corners_and_so_is_its_gradient():
    centre, radius = boxes()
    found = monotone.relu(PLAIN, Box(centre, radius))
    expected = relu_by_corners(centre, radius)
    weights = torch.randn(2, 6, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ours = torch.autograd.grad((weights[0] * found.centre + weights[1] * found.radius).sum(), (centre, radius))
    theirs = torch.autograd.grad((weights[0] * expected[0] + weights[1] * expected[1]).sum(), (centre, radius))
    for one, other in zip((found.centre, found.radius, *ours), (*expected, *theirs), strict=True):
        assert torch.allclose(one, other, atol=1e-14)


def test_the_gradient_of_the_relu_of_a_box_is_its_slope():
    centre, radius = boxes()
    radius = (radius.detach() + 0.02).requires_grad_(True)  # where the radius is 0, it cannot move both ways

    def relu(middle, reach):
        box = monotone.relu(PLAIN, Box(middle, reach))
        return box.centre, box.radius

    assert torch.autograd.gradcheck(relu, (centre, radius), eps=1e-6)


@pytest.mark.parametrize("count", [1, 3])
def test_lines_in_training_are_those_of_certificates_and_so_is_their_gradient(count):
    generator = torch.Generator().manual_seed(count)
    centre, radius = boxes()
    rows = torch.randn(6, count, 9, generator=generator, dtype=torch.float64).requires_grad_(True)
    weights = torch.randn(6, count, 10, generator=generator, dtype=torch.float64)
    told = []
    for through in (through_relu_in_training, lambda a, box: through_relu(a, box, 0.0, adaptive=True)):
        found, constant = through(rows, Box(centre, radius))
        total = (found * weights[..., :9]).sum() + (constant * weights[..., 9]).sum()
        told.append((found, constant, *torch.autograd.grad(total, (rows, centre, radius))))
    for one, other in zip(*told, strict=True):
        assert torch.allclose(one, other, atol=1e-13)
    assert torch.autograd.gradcheck(
        lambda a, c, r: through_relu_in_training(a, Box(c, r)),
        (rows, centre, (radius.detach() + 0.02).requires_grad_(True)),
        eps=1e-6,
    )


class Viewed(nn.Module):
    """A residual network that flattens by `view`, which takes only the layout in which the network was written."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, 6, 4, 2, 1), nn.BatchNorm2d(6), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(6, 6, 3, 1, 1), nn.BatchNorm2d(6))
        self.pool = nn.AvgPool2d(2)
        self.dense, self.norm, self.last = nn.Linear(24, 7), nn.BatchNorm1d(7), nn.Linear(7, 3)

    def forward(self, x):
        x = self.first(x)
        x = self.pool(F.relu(self.second(x) + x))
        return self.last(F.relu(self.norm(self.dense(x.view(x.size(0), -1)))))


class Flattened(Viewed):
    """It leaves flattening to its dense layer, of fewer outputs than a batch has images, or of more."""

    def forward(self, x):
        x = self.first(x)
        x = self.pool(F.relu(self.second(x) + x))
        return self.last(F.relu(self.norm(self.dense(x.flatten(1)))))


def normalised(layer, y):
    """Batch norm over the corners of a box, with the statistics of the concrete values."""
    values, lower, upper = y
    axes = (0, *range(2, values.dim()))
    shape = (1, -1) + (1,) * (values.dim() - 2)
    mean, variance = values.mean(axes), values.var(axes, unbiased=False)
    scale = (layer.weight / (variance + layer.eps).sqrt()).view(shape)
    shift = layer.bias.view(shape) - mean.view(shape) * scale
    values, lower, upper = (part * scale + shift for part in y)
    return values, torch.where(scale > 0, lower, upper), torch.where(scale > 0, upper, lower)


def affine(layer, y):
    """A layer over the corners of a box: positive weights take the same corner, negative ones the other."""
    values, lower, upper = y

    def apply(x, weight):
        if isinstance(layer, nn.Linear):
            return F.linear(x, weight)
        return F.conv2d(x, weight, None, layer.stride, layer.padding)

    up, down = layer.weight.clamp_min(0), layer.weight.clamp_max(0)
    bias = layer.bias.view(-1, *(1,) * (values.dim() - 2)) if values.dim() == 4 else layer.bias
    return (
        apply(values, layer.weight) + bias,
        apply(lower, up) + apply(upper, down) + bias,
        apply(upper, up) + apply(lower, down) + bias,
    )


def corners(network, x, budget):
    """Logits and bounds of `Viewed` in train mode by the plain formulas."""

    def each(function, y):
        return tuple(function(part) for part in y)

    y = (x, (x - budget).clamp_min(0), (x + budget).clamp_max(1))
    y = each(F.relu, normalised(network.first[1], affine(network.first[0], y)))
    z = normalised(network.second[1], affine(network.second[0], y))
    y = each(lambda part: F.avg_pool2d(part, 2), each(F.relu, tuple(a + b for a, b in zip(z, y, strict=True))))
    y = each(F.relu, normalised(network.norm, affine(network.dense, each(lambda part: part.flatten(1), y))))
    return affine(network.last, y)


def viewed(kind=Viewed, images=16):
    torch.manual_seed(0)
    network = kind().train()
    for layer in (network.first[1], network.second[1], network.norm):
        nn.init.normal_(layer.weight)  # some scales are negative
    return network, torch.rand(images, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def gradients(network, logits, lower, upper):
    weights = torch.randn(3, *logits.shape, generator=torch.Generator().manual_seed(2)).to(logits)
    total = (weights[0] * logits + weights[1] * lower + weights[2] * upper).sum()
    return torch.autograd.grad(total, list(network.parameters()))


@pytest.mark.parametrize(("arithmetic", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize(("kind", "images"), [(Viewed, 16), (Flattened, 16), (Flattened, 5)])
def test_a_training_pass_and_its_gradients_are_those_of_the_plain_formulas(kind, images, arithmetic, tolerance):
    network, x = viewed(kind, images)
    exact = corners(network.double(), x.double(), 0.05)
    expected = [*exact, *gradients(network, *exact)]
    network.to(arithmetic)
    bounded = Bounded(network)
    logits, statistics = bounded.concrete(x.to(arithmetic))
    box = bounded.outputs(around(x.to(arithmetic), 0.05, Domain()), statistics)
    found = [logits, box.lower, box.upper, *gradients(network, logits, box.lower, box.upper)]
    scale = max(other.abs().max() for other in expected)  # a bias before a batch norm has no gradient of its own
    assert all((one - other).abs().max() <= tolerance * scale for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize(("passed", "bounded_rows"), [(5, 16), (16, 5), (16, 16)])
def test_bounds_of_another_number_of_rows_take_weights_as_these_rows_lie(passed, bounded_rows):
    """Float64 keeps the layout in which the network was written."""
    network, x = viewed(Flattened)
    found = []
    for arithmetic in (torch.float32, torch.float64):
        bounded = Bounded(network.to(arithmetic))
        _, statistics = bounded.concrete(x[:passed].to(arithmetic))
        found.append(bounded.outputs(around(x[:bounded_rows].to(arithmetic), 0.05, Domain()), statistics))
    assert torch.allclose(found[0].centre.double(), found[1].centre, atol=1e-5)
    assert torch.allclose(found[0].radius.double(), found[1].radius, atol=1e-5)


@pytest.mark.parametrize("kind", [Viewed, Flattened])
def test_linear_bounds_go_back_through_what_flattens(kind):
    network, x = viewed(kind)
    bounded = Bounded(network)
    _, statistics = bounded.concrete(x)
    features = bounded.features(around(x, 0.01, Domain()), statistics, keep=True)
    rows = torch.eye(3).expand(16, 3, 3)
    lowest = Crown(bounded, features, statistics).lowest(rows)
    assert bool((lowest <= bounded.concrete(x)[0] + 1e-5).all())


def test_channels_lie_last_between_convolutions_and_first_where_a_view_takes_them():
    network, x = viewed()
    bounded = Bounded(network)
    _, statistics = bounded.concrete(x)
    features = bounded.features(around(x, 0.05, Domain()), statistics, keep=True)
    between = [box for box in features.before_relu if box.centre.dim() == 4]
    assert between
    assert all(box.centre.is_contiguous(memory_format=torch.channels_last) for box in between)
    pooled = next(value for node, value in features.values.items() if node.target == "pool")
    assert pooled.centre.is_contiguous()
    assert pooled.radius.is_contiguous()


def test_a_training_step_gives_the_same_bits_every_time():
    network, x = viewed()
    found = []
    for _ in range(2):
        bounded = Bounded(network)
        logits, statistics = bounded.concrete(x)
        box = bounded.outputs(around(x, 0.05, Domain()), statistics)
        found.append((logits, box.lower, box.upper, *gradients(network, logits, box.lower, box.upper)))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_margins_of_children_are_those_of_a_linear_network():
    """Child {1, 2} falls to output 0 by the smaller of the two leads; child {0} is led by the better of two."""
    weight = torch.tensor([[3.0, 0.0], [1.0, -1.0], [0.0, 2.0]])
    network = nn.Sequential(nn.Flatten(), nn.Linear(2, 3, bias=False)).double().eval()
    network[1].weight.data.copy_(weight)
    box = Box(torch.tensor([[0.5, 0.25]]).double(), torch.tensor([[0.1, 0.2]]).double())
    head = retrained([frozenset((0,)), frozenset((1,)), frozenset((2,))])
    grouped = type(head)((frozenset((0,)), frozenset((1, 2))), ((0,), (1, 2)))
    lead = {
        (i, j): float(
            (weight[i] - weight[j]) @ box.centre[0].float() - (weight[i] - weight[j]).abs() @ box.radius[0].float()
        )
        for i in range(3)
        for j in range(3)
        if i != j
    }
    found = exclusion_margins(Bounded(network, FLOAT32).features(box), grouped, FLOAT32)[0]
    assert found[0].item() == pytest.approx(max(lead[1, 0], lead[2, 0]), abs=1e-5)
    over_one, over_two = max(lead[0, 1], lead[2, 1]), max(lead[0, 2], lead[1, 2])
    assert found[1].item() == pytest.approx(min(over_one, over_two), abs=1e-5)
    assert 0 < found[1].item() < min(over_one, over_two), "less what float32 may err"


def test_a_margin_that_is_not_finite_excludes_nothing():
    network = nn.Sequential(nn.Flatten(), nn.Linear(2, 2)).double().eval()
    head = retrained([frozenset((0,)), frozenset((1,))])
    for radius in (torch.inf, torch.nan):
        box = Box(torch.zeros(1, 2).double(), torch.full((1, 2), radius).double())
        found = exclusion_margins(Bounded(network).features(box), head, PLAIN)
        assert bool((found == -torch.inf).all())


def rows(network, inputs, batch):
    """The proved rows of inputs, by index."""
    head = retrained([frozenset((0,)), frozenset((1,)), frozenset((2,))])
    context = Context(threat=Threat(LINF, (0.01,), domain=Domain()), batch=batch)
    prover = IbpCertifier().deploy(network, (head,), "image", context)
    chosen = prover.decide(inputs, Purpose.SELECT)[head]
    claims = [Claim(inputs[n : n + 1], {head: int(chosen[n])}) for n in range(len(inputs))]
    return {proof.index: proof.rows[head] for proof in prover.prove(claims)}


def test_rows_are_the_same_for_every_batch_size_and_shard():
    network = viewed()[0]
    for _ in range(20):
        network(torch.rand(64, 1, 8, 8))  # running statistics
    network.eval()
    x = torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    inputs = Inputs(torch.arange(250, 262), {"image": x})
    together = rows(network, inputs, 512)
    assert any(row.own > 0 for row in together.values())
    assert rows(network, inputs, 5) == together
    shards = [rows(network, inputs[torch.arange(number, 12, 2)], 512) for number in range(2)]
    assert shards[0] | shards[1] == together
