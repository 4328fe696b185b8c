"""Smoothed networks whose probabilities are known, and a small one with batch norm for the rest."""

import pytest
import torch
from scipy.stats import norm
from torch import nn

from hiercls.contracts.context import Context
from hiercls.contracts.provers import Claim
from hiercls.values.heads import restricted
from hiercls.values.views import Inputs
from hiercls_plugins.smoothing.certifier import Smoothing

CPU = torch.device("cpu")


def parts(*groups):
    return [frozenset(group) for group in groups]


class Scores(nn.Module):
    """A network on one number: its outputs are given functions of it."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return torch.stack(self.function(x[:, 0]), dim=1)


def deployed(function, *heads, context=None, **options):
    options = {"sigma": 1.0, "draws": 2000, **options}
    network = function if isinstance(function, nn.Module) else Scores(function)
    return Smoothing(**options).deploy(network, heads, "image", context or Context())


def at(*points, start=0, **rest):
    x = torch.tensor(points)[:, None]
    return Inputs(torch.arange(start, start + len(points)), {"image": x}, **rest)


def proved(prover, point, chosen, **rest):
    return next(iter(prover.prove([Claim(at(point, **rest), chosen)]))).rows


class Watched(nn.Module):
    """A deployed network that keeps what it is shown."""

    def __init__(self, prover):
        super().__init__()
        self.network, self.seen = prover.votes.passes.network, []
        prover.votes.passes.network = self

    def forward(self, x):
        self.seen.append(x.clone())
        return self.network(x)


def boundary(place):
    """Label 0 at and below `place`, label 1 above."""
    return lambda z: (place - z, z - place)


BINARY = restricted(parts([0], [1]))


class Convolutional(nn.Module):
    """A small network with batch norm after convolutions: one plain, one called twice, one with a second reader."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.again, self.shared = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.branch, self.side = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.last = nn.Linear(4 * 36, 6)
        for norm_layer in (self.norm, self.shared, self.side):
            norm_layer.running_mean.uniform_(-1, 1)
            norm_layer.running_var.uniform_(0.5, 2)
            nn.init.uniform_(norm_layer.weight, 0.5, 2)

    def forward(self, x):
        x = self.norm(self.first(x)).relu()
        x = self.shared(self.again(self.again(x))).relu()
        x = self.branch(x)
        x = self.side(x) + x
        return self.last(x.flatten(1))


@pytest.fixture
def random_images():
    torch.manual_seed(3)
    return Inputs(torch.arange(8) + 40, {"image": torch.rand(8, 1, 6, 6)})


@pytest.fixture
def convolutional_network():
    torch.manual_seed(4)
    return Convolutional().eval()


FLAT = restricted(parts([0], [1], [2], [3], [4], [5]))
ROOT = restricted(parts([0, 1, 2], [3, 4, 5]))
LEFT = restricted(parts([0], [1], [2]))
RIGHT = restricted(parts([3], [4], [5]))
TREE = (ROOT, LEFT, RIGHT)
THREE = restricted(parts([0], [1], [2]))
BELOW, ABOVE = float(norm.ppf(0.30)), float(norm.ppf(0.90))


def three_regions(z):
    """Label 0 up to BELOW (probability .30 at 0), label 1 from ABOVE (.10), label 2 between."""
    return BELOW - z, z - ABOVE, torch.zeros_like(z)
