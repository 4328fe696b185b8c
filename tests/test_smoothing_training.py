"""Training on noise: the boundary that it learns, and the noise that its objective sees."""

import pytest
import torch
from smoothing_toys import BINARY, parts
from torch import nn

from hiercls.contracts.components import Task
from hiercls.contracts.context import Context
from hiercls.contracts.schedules import Schedule
from hiercls.values.draws import Purpose
from hiercls.values.views import Inputs
from hiercls.words.threats import EVERYWHERE
from hiercls_plugins.smoothing.certifier import Smoothing
from hiercls_plugins.smoothing.trainer import Gaussian


def test_training_on_noise_learns_the_smoothed_boundary():
    torch.manual_seed(0)
    y = torch.arange(400) % 2
    x = torch.randn(400, 2) * 0.1 + torch.stack([y * 2.0 - 1.0, torch.zeros(400)], dim=1)
    task = Task(x, y, x[:0], y[:0], tuple(parts([0], [1])), EVERYWHERE)
    trainer = Gaussian(sigma=0.5, schedule=Schedule(epochs=5, rate=0.05))
    network = trainer.fit(nn.Linear(2, 2), task, Context())
    again = trainer.fit(nn.Linear(2, 2), task, Context())
    assert not network.training
    prover = Smoothing(sigma=0.5, draws=1000).deploy(network, (BINARY,), "image", Context())
    decided = prover.decide(Inputs(torch.arange(50), {"image": x[:50]}), Purpose.PREDICT)[BINARY]
    assert torch.equal(decided, y[:50])
    assert again.weight.shape == network.weight.shape


def test_the_objective_sees_fresh_unclipped_noise_named_by_its_step():
    from hiercls.contracts.fitting import Moment
    from hiercls_plugins.smoothing.noise import NoisyCrossEntropy

    seen = []

    class Watching(nn.Linear):
        def forward(self, x):
            seen.append(x)
            return super().forward(x)

    network, x, y = Watching(3, 2), torch.zeros(5000, 3), torch.zeros(5000, dtype=torch.int64)

    def loss(step):
        moment = Moment(0, step, 10, 1, torch.Generator().manual_seed(step))
        return NoisyCrossEntropy(2.0).loss(network, x, y, moment)

    assert loss(1) == loss(1) != loss(2)
    assert seen[0].std() == pytest.approx(2.0, rel=0.03)
    assert torch.nn.functional.cross_entropy(network(seen[0]), y) == loss(1)
