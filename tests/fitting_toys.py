"""Small networks, losses and schedules for the training loop, and what it leaves behind."""

import json
from itertools import count

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from hiercls.contracts.checkpoints import HISTORY
from hiercls.contracts.components import Task
from hiercls.contracts.fitting import Stateless
from hiercls.contracts.schedules import Schedule, Steps
from hiercls.words.threats import Domain

PARTS = (frozenset({0}), frozenset({1}))


class Plain(Stateless):
    """Cross entropy that remembers what it was asked, outside its state."""

    def __init__(self):
        self.asked = []

    def loss(self, network, x, y, moment):
        self.asked.append((moment, x.clone(), y.clone()))
        return cross_entropy(network(x), y)


class Drifting:
    """A loss that depends on its own past and on the step's randomness, and dies when told."""

    def __init__(self, dies_at=None):
        self.weight = torch.ones(())
        self.dies_at = dies_at

    def loss(self, network, x, y, moment):
        if moment.step == self.dies_at:
            raise KeyboardInterrupt
        noisy = x + 0.1 * torch.randn(x.shape, generator=moment.generator)
        loss = cross_entropy(network(noisy), y)
        self.weight = 0.9 * self.weight + 0.1 * loss.detach()
        return loss * self.weight

    def state(self):
        return {"weight": self.weight}

    def load(self, state):
        self.weight = state["weight"]


def examples(number=26, shape=(1, 4, 4)):
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(number, *shape, generator=generator)
    return x, (x.flatten(1).mean(dim=1) > 0.5).long()


def task(number=26, held_out=5):
    x, y = examples(number + held_out)
    return Task(x[:number], y[:number], x[number:], y[number:], PARTS, Domain())


def small(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Dropout(0.2), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)
    )


def affine(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 2))


def hasty():
    """A clock by which every step lasts longer than the interval of checkpoints."""
    ticks = count()
    return lambda: 31.0 * next(ticks)


def history(folder):
    rows = [json.loads(line) for line in (folder / HISTORY).read_text().splitlines()]
    return [{key: row[key] for key in ("epoch", "loss", "accuracy")} for row in rows]


def same(first, second):
    one, two = first.state_dict(), second.state_dict()
    return list(one) == list(two) and all(torch.equal(one[name], two[name]) for name in one)


SCHEDULES = {
    "adam": Schedule(epochs=3, batch=8, augment=("flip", "crop"), warmup=1.0, clip=1.0),
    "adamw": Schedule(epochs=3, batch=8, optimizer="adamw", weight_decay=0.1, decay="cosine"),
    "sgd": Schedule(epochs=3, batch=8, optimizer="sgd", nesterov=True, decay=Steps(at=(1.5,), by=0.5)),
    "bf16": Schedule(epochs=3, batch=8, precision="bf16"),
}
