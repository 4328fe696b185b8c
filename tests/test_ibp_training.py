"""Training on interval bounds: what it certifies, where it starts, and which options mean nothing."""

import pytest
import torch
from ibp_toys import UNIT, convolutional, deploy, images, rows, singles
from pydantic import ValidationError
from torch import nn

from hiercls.contracts.components import Task
from hiercls.contracts.context import Context
from hiercls.contracts.schedules import Schedule
from hiercls.testing import TrainerConformance
from hiercls.values.heads import retrained
from hiercls.values.views import Inputs
from hiercls_plugins.ibp.certifier import IbpCertifier
from hiercls_plugins.ibp.trainer import Ibp

SHORT = Schedule(epochs=12, batch=32, rate=5e-3, clip=10.0)


class TestIbpTrainer(TrainerConformance):
    def make(self):
        return Ibp(eps=0.05, ramp=(1, 6), schedule=SHORT)


def test_a_ramp_longer_than_the_training_is_refused():
    with pytest.raises(ValidationError, match=r"the default ramp \[1, 21\] must rise within the 10 epochs .*; write a"):
        Ibp(eps=0.1, schedule=Schedule(epochs=10))
    with pytest.raises(ValidationError, match=r"the ramp \[1, 21\] must rise within the 10 epochs of the schedule \["):
        Ibp(eps=0.1, ramp=(1, 21), schedule=Schedule(epochs=10))
    with pytest.raises(ValidationError, match="must lie below largest"):
        IbpCertifier(smallest=0.5, largest=0.1)


def test_a_schedule_named_in_part_keeps_the_rest_of_this_trainers_own():
    trainer = Ibp.model_validate({"eps": 0.1, "schedule": {"epochs": 50, "decay": {"at": [36, 44], "by": 0.2}}})
    assert trainer.schedule.epochs == 50
    assert trainer.schedule.decay.at == (36, 44)
    assert (trainer.schedule.batch, trainer.schedule.rate, trainer.schedule.clip) == (256, 5e-4, 10)


def test_it_suggests_its_own_certifier():
    assert Ibp(eps=0.1).certifier() == {"ibp": {}}


def test_keep_starts_from_the_weights_it_is_given():
    """Without a step of training to speak of, the weights are nearly those before."""
    x, y = images(32).views["image"], torch.arange(32) % 2
    task = Task(x, y, x[:0], y[:0], tuple(singles(0, 1)), UNIT)
    crawl = Schedule(epochs=1, batch=32, rate=1e-9)
    for initialisation, near in (("keep", True), ("fast", False)):
        network = convolutional(2)
        before = network[4].weight.detach().clone()
        trainer = Ibp(eps=0.1, ramp=(0, 1), initialisation=initialisation, schedule=crawl)
        trainer.fit(network, task, Context())
        assert torch.allclose(network[4].weight, before, atol=1e-6) == near


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4))
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.second(self.first(x)) + x)


def blobs(count, seed):
    """Bright left or bright right halves, with noise."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(count) % 2
    x = 0.35 * torch.rand(count, 1, 8, 8, generator=generator)
    x[y == 0, :, :, :4] += 0.4
    x[y == 1, :, :, 4:] += 0.4
    return x, y


@pytest.mark.parametrize("kind", ["plain", "residual"])
def test_training_on_bounds_certifies_what_plain_training_does_not(kind):
    x, y = blobs(256, 0)
    fresh, truth = blobs(64, 1)
    head = retrained(singles(0, 1))
    task = Task(x, y, x[:0], y[:0], head.children, UNIT)
    schedule = Schedule(epochs=20, batch=32, rate=5e-3, clip=10.0)
    shares = {}
    for name, trainer in (
        ("clean", Ibp(eps=1e-6, kappa=1.0, ramp=(0, 1), initialisation="keep", regularisation=0, schedule=schedule)),
        ("robust", Ibp(eps=0.1, ramp=(1, 12), schedule=schedule)),
    ):
        torch.manual_seed(0)
        middle = [Block()] if kind == "residual" else [nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()]
        layers = (nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), *middle, nn.Flatten())
        network = trainer.fit(nn.Sequential(*layers, nn.Linear(256, 2)), task, Context())
        prover = deploy(network, [head], budgets=(0.1,), precision=0.5)
        found = rows(prover, Inputs(torch.arange(64), {"image": fresh}))
        shares[name] = sum(row[head].own >= 0.1 and row[head].chosen == truth[n] for n, row in found.items()) / 64
    assert shares["robust"] > 0.9
    assert shares["clean"] < 0.5
