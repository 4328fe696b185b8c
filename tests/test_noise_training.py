"""Trainers on noise as trainers: conformance, kills, where they draw from, and which options mean nothing."""

from itertools import count

import pytest
import torch
from noise_toys import batch, moment, network
from pydantic import ValidationError

from hiercls.contracts.components import Task
from hiercls.contracts.context import Context
from hiercls.contracts.schedules import Schedule
from hiercls.testing import TrainerConformance
from hiercls.words.norms import L2
from hiercls.words.threats import Domain
from hiercls_plugins.noise_training.trainers import Consistency, Macer, SmoothAdv

SHORT = Schedule(epochs=6, batch=32, rate=1e-2)
TRAINERS = {
    "smooth-adv": SmoothAdv(sigma=0.1, eps=0.2, attack_steps=2, warmup=2, schedule=SHORT),
    "consistency": Consistency(sigma=0.1, lbd=5.0, schedule=SHORT),
    "macer": Macer(sigma=0.1, draws=4, schedule=SHORT),
}


class TestSmoothAdv(TrainerConformance):
    norm = L2

    def make(self):
        return TRAINERS["smooth-adv"]


class TestConsistency(TrainerConformance):
    norm = L2

    def make(self):
        return TRAINERS["consistency"]


class TestMacer(TrainerConformance):
    norm = L2

    def make(self):
        return TRAINERS["macer"]


class Died(Exception):
    pass


@pytest.mark.parametrize("name", TRAINERS)
def test_a_training_that_was_killed_ends_with_the_same_weights(name, tmp_path, monkeypatch):
    trainer = TRAINERS[name].model_copy(update={"schedule": Schedule(epochs=4, batch=8)})
    whole = trainer.fit(network(), task(), Context(seed=3))
    ticks = count(step=100)
    kind = type(trainer.objective(task()))
    plain = kind.measured

    def dying(self, logits, y):
        if next(ticks) >= 100 * 9:
            raise Died
        return plain(self, logits, y)

    monkeypatch.setattr(kind, "measured", dying)
    with pytest.raises(Died):
        trainer.fit(network(), task(), Context(seed=3, scratch=tmp_path, clock=lambda: float(next(ticks))))
    monkeypatch.setattr(kind, "measured", plain)
    resumed = trainer.fit(network(seed=8), task(), Context(seed=3, scratch=tmp_path))
    for key, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[key]), key


def task():
    x, y = batch(count=40)
    return Task(x, y, x[:0], y[:0], (frozenset("a"), frozenset("b"), frozenset("c")), Domain())


@pytest.mark.parametrize("name", TRAINERS)
def test_a_loss_draws_from_its_moment_alone(name):
    net, (x, y) = network(), batch()
    objective = TRAINERS[name].objective(task())
    found = set()
    for seed in (1, 2):
        torch.manual_seed(seed)
        found.add(objective.loss(net, x, y, moment()).item())
    assert len(found) == 1
    assert objective.loss(net, x, y, moment(seed=1)).item() not in found


@pytest.mark.parametrize("name", TRAINERS)
def test_smoothing_with_the_same_sigma_is_suggested(name):
    assert TRAINERS[name].certifier() == {"smoothing": {"sigma": 0.1}}
    assert TRAINERS[name].budget() is None


@pytest.mark.parametrize("name", TRAINERS)
def test_losses_are_float32_under_bf16_and_near_the_full_ones(name):
    net, (x, y) = network(), batch()
    objective = TRAINERS[name].objective(task())
    full = objective.loss(net, x, y, moment())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = objective.loss(net, x, y, moment())
    assert half.dtype in (torch.float32, torch.float64)
    assert half.item() == pytest.approx(full.item(), rel=0.05)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: SmoothAdv(sigma=0.1, eps=0.2, warmup=20, schedule=Schedule(epochs=20)), "must end within the 20"),
        (lambda: SmoothAdv(sigma=0.1, eps=0), "greater than 0"),
        (lambda: SmoothAdv(sigma=0.1), "Field required"),
        (lambda: SmoothAdv(sigma=0.1, eps=0.2, attack_steps=0), "greater than 0"),
        (lambda: Consistency(sigma=0.1, draws=1), "greater than or equal to 2"),
        (lambda: Consistency(sigma=0.1, lbd=-1), "greater than or equal to 0"),
        (lambda: Macer(sigma=0.0), "greater than 0"),
        (lambda: Macer(sigma=0.1, gamma=0), "greater than 0"),
        (lambda: Macer(sigma=float("inf")), "finite"),
    ],
)
def test_options_that_mean_nothing_are_refused(make, word):
    with pytest.raises(ValidationError, match=word):
        make()
