"""Networks and questions for auto_LiRPA, where it is installed."""

from importlib.util import find_spec

import pytest
import torch
from torch import nn

from hiercls.contracts.context import Context
from hiercls.testing.proofs import prove
from hiercls.values.draws import Purpose
from hiercls.values.views import Inputs
from hiercls.words.norms import LINF
from hiercls.words.threats import Domain, Threat
from hiercls_plugins.auto_lirpa.certifier import AutoLirpa
from hiercls_plugins.auto_lirpa.package import AUTO_LIRPA
from hiercls_plugins.bounds.boxes import enclosing

BOUNDS = ("ibp", "crown-ibp", "crown", "alpha-crown")
UNIT = Domain()


@pytest.fixture
def installed():
    if find_spec("auto_LiRPA") is None:
        pytest.skip("auto_LiRPA is not installed")
    AUTO_LIRPA.load()


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


def _few(bound):
    return {"iterations": 2} if bound == "alpha-crown" else {}
