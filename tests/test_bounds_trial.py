"""Networks that a trace shows wrongly: refused before the first claim, or bounded as they are deployed."""

import pytest
import torch
import torch.nn.functional as F
from bounds_toys import members
from torch import nn

from hiercls.contracts.context import Context
from hiercls.contracts.pointwise import TILE
from hiercls.values.heads import retrained
from hiercls.words.errors import HierclsError
from hiercls.words.norms import LINF
from hiercls.words.threats import Domain, Threat
from hiercls_plugins.bounds.bounded import Bounded
from hiercls_plugins.bounds.boxes import Box, enclosing
from hiercls_plugins.bounds.crown import Crown
from hiercls_plugins.bounds.rounding import FLOAT32
from hiercls_plugins.crown_ibp.certifier import CrownIbpCertifier
from hiercls_plugins.ibp.certifier import IbpCertifier

UNIT = Domain()
HEAD = retrained([frozenset((0,)), frozenset((1,))])


class Shaped(nn.Module):
    """Dense layers around a function that moves axes."""

    def __init__(self, function, features=4):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(3, features), nn.Linear(features, 2)
        self.offset = nn.Parameter(torch.randn(features))
        self.function = function

    def forward(self, x):
        return self.last(self.function(F.relu(self.first(x)), self.offset))


def certify(network, certifier):
    context = Context(threat=Threat(LINF, (0.01,), domain=UNIT), batch=64)
    prover = certifier.deploy(network.eval(), (HEAD,), "image", context)
    x = torch.rand(4, 3, generator=torch.Generator().manual_seed(1))
    return prover.radii(prover.network, HEAD, torch.cat([x, torch.zeros(TILE - 4, 3)]))


MOVING = {
    "an axis in front": lambda h, c: (h[None] + c)[0],
    "rows side by side": lambda h, c: (h.transpose(0, 1) + 0.0).transpose(0, 1) + c,
    "pairs of rows": lambda h, c: _pairs(h) + c,
    "an axis as long as a tile": lambda h, c: (
        h.unsqueeze(2).expand(-1, -1, TILE).transpose(0, 2)[0].transpose(0, 1) + c
    ),
}


def _widened(h):
    return h.unsqueeze(2).expand(-1, -1, TILE).transpose(0, 2)


def _pairs(h):
    mixed = h.view(2, -1, 4).transpose(0, 1).mean(1)
    return torch.cat([mixed, mixed], dim=0).view(-1, 4)


@pytest.mark.parametrize("certifier", [IbpCertifier(), CrownIbpCertifier(precision=0.5)])
@pytest.mark.parametrize("name", MOVING)
def test_a_network_that_moves_the_batch_is_refused(name, certifier):
    with pytest.raises(HierclsError, match="batch"):
        certify(Shaped(MOVING[name]), certifier)


@pytest.mark.parametrize("certifier", [IbpCertifier(), CrownIbpCertifier(precision=0.5)])
def test_a_constant_that_float32_computes_otherwise_is_refused(certifier):
    class Cancelling(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 2)
            self.large = nn.Parameter(torch.full((2, 2), 1e8))
            self.small = nn.Parameter(torch.full((2, 2), 4.1))

        def forward(self, x):  # in float64 4.1, in float32 8
            return F.linear(F.relu(self.layer(x)), self.large - (self.large - self.small))

    with pytest.raises(HierclsError, match="makes a constant that float32 rounds more than twice"):
        certify(Cancelling(), certifier)


def test_a_constant_of_two_roundings_is_bounded():
    found = certify(Shaped(lambda h, c: h + c * 0.3), IbpCertifier())
    assert bool((found[:4].amax(dim=1) > 0).any())


def test_a_mean_in_another_dtype_has_no_rule():
    network = Shaped(lambda h, c: h + h.mean(1, keepdim=True, dtype=torch.bfloat16).float() + c)
    with pytest.raises(HierclsError, match="no rule"):
        certify(network, IbpCertifier())


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (lambda h, c: h.mul(other=c), "'mul' of a tensor"),
        (lambda h, c: torch.div(h, c, rounding_mode="floor"), "'div'"),
        (lambda h, c: h + h.mean(dim=[]), "along the batch"),
        (lambda h, c: h + h.mean(axis=0), "along the batch"),
    ],
)
def test_arguments_without_a_rule_are_named(function, named):
    with pytest.raises(HierclsError, match=named):
        Bounded(Shaped(function).eval()).outputs(Box(torch.rand(2, 3), torch.full((2, 3), 0.1)))


def _add_(h, c):
    h += c
    return h


def _skip_(h, c):
    out = F.relu(h + c)
    out += h
    return out


SOUND = {
    "in place": _add_,
    "in-place shortcut": _skip_,
    "a mean over an axis": lambda h, c: h + h.mean(axis=1, keepdim=True) + c,
}


@pytest.mark.parametrize("name", SOUND)
def test_linear_bounds_hold_of_operations_in_place(name):
    network = Shaped(SOUND[name]).double().eval()
    box = enclosing(torch.rand(5, 3), torch.full((5,), 0.1, dtype=torch.float64), UNIT)
    bounded = Bounded(network, FLOAT32)
    rows = torch.tensor([[[1.0, -1], [0, 1]]]).double().expand(5, 2, 2)
    with torch.no_grad():
        lowest = Crown(bounded, bounded.features(box, keep=True)).lowest(rows)
        for points in members(box, 30):
            assert bool(((rows @ network(points)[:, :, None]).squeeze(2) >= lowest).all())


class Tokens(nn.Module):
    """A dense layer along the last of two axes."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.each, self.last = nn.Linear(3, 5), nn.Linear(10, 2)

    def forward(self, x):
        return self.last(F.relu(self.each(x)).flatten(1))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_dense_layer_along_the_last_of_several_axes_has_linear_bounds(count):
    network = Tokens().double().eval()
    x = torch.rand(count, 2, 3, dtype=torch.float64)
    rows = torch.eye(2).double().expand(count, 2, 2)
    bounded = Bounded(network)
    exact = Crown(bounded, bounded.features(Box(x, torch.zeros_like(x)), keep=True)).lowest(rows)
    torch.testing.assert_close(exact, network(x))


def test_linear_bounds_in_training_refuse_a_batch_that_moved():
    bounded = Bounded(Shaped(MOVING["an axis in front"]))
    features = bounded.features(Box(torch.rand(4, 3), torch.full((4, 3), 0.1)), keep=True)
    with pytest.raises(HierclsError, match="moves the batch from the first axis"):
        Crown(bounded, features).lowest(torch.eye(2).expand(4, 2, 2))
