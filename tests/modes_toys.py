"""A small network with batch norm, images, half-spaces and claims for the modes of the smoothing engine."""

import pytest
import torch
from smoothing_toys import FLAT, LEFT, RIGHT, ROOT
from torch import nn

from hiercls.contracts.context import Context
from hiercls.contracts.provers import Claim
from hiercls.values.draws import Purpose
from hiercls.values.views import Inputs
from hiercls_plugins.smoothing.certifier import Smoothing

HEADS = (FLAT, ROOT, LEFT, RIGHT)
GRID = {"grid": {"radii": [0, 0.1, 0.3]}}


class Half(nn.Module):
    """Label 0 where the mean entry is at most `place`: its radius is the distance to a hyperplane."""

    def __init__(self, place):
        super().__init__()
        self.place = place

    def forward(self, x):
        margin = self.place - x.flatten(1).mean(dim=1)
        return torch.stack([margin, -margin], dim=1)


@pytest.fixture
def normed_network():
    torch.manual_seed(4)
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(128, 6)).eval()


@pytest.fixture
def nine_images():
    torch.manual_seed(3)
    return Inputs(torch.arange(9) + 40, {"image": torch.rand(9, 1, 6, 6)})


def deployed(network, heads=HEADS, context=None, **options):
    return Smoothing(**{"sigma": 0.5, "draws": 2000, **options}).deploy(network, heads, "image", context or Context())


def claims(prover, inputs, heads=None):
    """Claims on what selection draws name, on every decision."""
    named = prover.decide(inputs, Purpose.SELECT)
    heads = prover.heads if heads is None else heads
    return [Claim(inputs[k : k + 1], {head: int(named[head][k]) for head in heads}) for k in range(len(inputs))]


def rows(prover, asked):
    return {proof.index: proof.rows for proof in prover.prove(iter(asked))}
