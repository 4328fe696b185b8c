"""Networks of every operation that bounds know, and points of a box to hold the bounds to."""

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import nn

from hiercls.words.threats import Domain
from hiercls_plugins.bounds.bounded import Bounded
from hiercls_plugins.bounds.rounding import FLOAT32

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
