"""Trainers on noise: SmoothAdv, consistency and MACER against sums written out and brute force."""

from itertools import count

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from scipy.special import log_softmax, softmax
from scipy.stats import entropy, norm
from torch import nn

from hiercls.contracts.components import Task
from hiercls.contracts.context import Context
from hiercls.contracts.fitting import Moment
from hiercls.contracts.schedules import Schedule
from hiercls.testing import TrainerConformance
from hiercls.words.norms import L2
from hiercls.words.threats import EVERYWHERE, Domain
from hiercls_plugins.noise_training.adversarial import AdversarialCopies, Assault
from hiercls_plugins.noise_training.agreement import AgreeingCopies
from hiercls_plugins.noise_training.copies import answers, log_mean, standard_noise
from hiercls_plugins.noise_training.radii import WideCopies, hinge
from hiercls_plugins.noise_training.trainers import Consistency, Macer, SmoothAdv
from hiercls_plugins.smoothing.noise import NoisyCrossEntropy
from hiercls_plugins.smoothing.statistics import one_sided

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


def moment(seed=0, epoch=20, step=0):
    return Moment(epoch, 100 * epoch + step, 100, 60, torch.Generator().manual_seed(seed))


def network(inputs=6, outputs=3, seed=1):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 8), nn.Tanh(), nn.Linear(8, outputs))


def batch(count=10, outputs=3, seed=2):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 1, 2, 3, generator=generator), torch.arange(count) % outputs


def some_logits(draws=5, count=7, outputs=4, scale=2.0, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(draws, count, outputs, generator=generator, dtype=torch.float64)


def assault(eps, steps=10, step=1.0, warmup=0.0, domain=EVERYWHERE):
    return Assault(eps, steps, step, warmup, domain)


def gaussian_on_copies(net, x, y, sigma, draws, seed=0):
    return NoisyCrossEntropy(sigma).loss(net, x.repeat(draws, 1, 1, 1), y.repeat(draws), moment(seed))


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("draws", [2, 5])
@pytest.mark.parametrize(
    "make",
    [
        lambda draws: AgreeingCopies(0.3, draws, 0.0, 0.0),
        lambda draws: AdversarialCopies(0.3, draws, assault(0.0)),
        lambda draws: AdversarialCopies(0.3, draws, assault(0.5, warmup=30.0)),
    ],
)
def test_what_neither_agrees_nor_attacks_is_gaussian_training_on_copies(make, draws):
    net, (x, y) = network(), batch()
    found = make(draws).loss(net, x, y, moment(epoch=0))
    assert found.item() == gaussian_on_copies(net, x, y, 0.3, draws).item()


def test_macer_without_its_hinge_is_the_cross_entropy_of_the_mean_answer():
    net, (x, y) = network(), batch()
    found = WideCopies(0.3, 4, 0.0, 8.0, 16.0).loss(net, x, y, moment()).item()
    noise = torch.randn(4, *x.shape, generator=torch.Generator().manual_seed(0))
    logits = np.stack([net(x + 0.3 * each).detach().double().numpy() for each in noise])
    mean = softmax(logits, axis=2).mean(axis=0)
    assert found == pytest.approx(-np.log(mean[np.arange(len(y)), y]).mean(), rel=1e-5)


def test_macer_without_its_hinge_on_one_draw_is_gaussian_training():
    net, (x, y) = network(), batch()
    found = WideCopies(0.3, 1, 0.0, 8.0, 16.0).loss(net, x, y, moment())
    assert found.item() == pytest.approx(gaussian_on_copies(net, x, y, 0.3, 1).item(), rel=1e-6)


def test_noise_is_made_on_the_cpu_in_float32_and_every_copy_has_its_own():
    x = torch.zeros(3, 2, dtype=torch.float64)
    noise = standard_noise(x, 4, torch.Generator().manual_seed(9))
    assert torch.equal(noise, torch.randn(4, 3, 2, generator=torch.Generator().manual_seed(9)))
    assert noise.dtype == torch.float32
    assert len(noise.flatten().unique()) == 24
    wide = standard_noise(torch.zeros(1000, 20), 5, torch.Generator().manual_seed(9))
    assert wide.std().item() == pytest.approx(1.0, abs=0.02)


def test_copies_pass_through_the_network_in_the_order_of_their_draws():
    net, (x, _) = network(), batch()
    noise = standard_noise(x, 3, torch.Generator())
    for draw, logits in enumerate(answers(net, x, noise)):
        assert torch.allclose(logits, net(x + noise[draw]), atol=1e-6)


# --- consistency ----------------------------------------------------------------------------------


def test_disagreement_and_entropy_are_those_of_scipy():
    logits, y = some_logits(), torch.arange(7) % 4
    copies = softmax(logits.numpy(), axis=2)
    mean = copies.mean(axis=0)
    kl = np.mean([entropy(mean, copy, axis=1) for copy in copies])
    own = -log_softmax(logits.numpy(), axis=2)[:, np.arange(7), y].mean()
    for lbd, eta in ((0.0, 0.0), (3.0, 0.0), (0.0, 0.5), (20.0, 0.5)):
        found = AgreeingCopies(0.3, 5, lbd, eta).measured(logits, y).item()
        assert found == pytest.approx(own + lbd * kl + eta * entropy(mean, axis=1).mean(), rel=1e-10)


def test_the_disagreement_of_two_copies_by_hand():
    """Answers (1/2, 1/2) and (1/4, 3/4): mean (3/8, 5/8)."""
    logits = torch.tensor([[[0.5, 0.5]], [[0.25, 0.75]]], dtype=torch.float64).log()
    kl = (3 * np.log(3 / 4) + 5 * np.log(5 / 4) + 3 * np.log(3 / 2) + 5 * np.log(5 / 6)) / 16
    found = AgreeingCopies(0.3, 2, 1.0, 0.0).measured(logits, torch.tensor([0])).item()
    assert found == pytest.approx(kl + (np.log(2) + np.log(4)) / 2, rel=1e-12)


def test_sure_answers_that_contradict_each_other_have_a_finite_loss_and_gradient():
    logits = torch.tensor([[[500.0, -500.0]], [[-500.0, 500.0]]], requires_grad=True)
    loss = AgreeingCopies(0.3, 2, 10.0, 0.5).measured(logits, torch.tensor([0]))
    loss.backward()
    assert bool(loss.isfinite())
    assert bool(logits.grad.isfinite().all())


# --- MACER ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("gamma", "beta"), [(8.0, 1.0), (0.5, 1.0), (8.0, 16.0), (2.0, 0.3)])
def test_the_hinge_is_that_of_scipy(gamma, beta):
    logits, y = some_logits(count=60), torch.arange(60) % 4
    shares = softmax(beta * logits.numpy(), axis=2).mean(axis=0)
    total = 0.0
    for row, truth in zip(shares, y.tolist(), strict=True):
        second, first = np.sort(row)[-2:]
        if row.argmax() == truth:
            total += max(0.0, gamma - (norm.ppf(first) - norm.ppf(second)))
    assert total > 0
    assert hinge(logits, y, gamma, beta).item() == pytest.approx(total / 60, rel=1e-9)


def test_sharp_votes_have_the_two_sided_radius_of_their_counts():
    """At a large beta shares are counts: 7 and 3 of 10 copies, radius sigma / 2 (Phi^-1(.7) - Phi^-1(.3))."""
    logits = torch.tensor([[[1.0, 0.0]]] * 7 + [[[0.0, 1.0]]] * 3)
    sigma, gamma = 0.5, 8.0
    radius = sigma / 2 * (norm.ppf(0.7) - norm.ppf(0.3))
    objective = WideCopies(sigma, 10, 3.0, gamma, 1e4)
    clean = objective.measured(logits, torch.tensor([0])) - 3.0 * (sigma / 2 * gamma - radius)
    alone = WideCopies(sigma, 10, 0.0, gamma, 1e4).measured(logits, torch.tensor([0]))
    assert clean.item() == pytest.approx(alone.item(), rel=1e-5)
    bound = one_sided(np.array([7_000_000, 3_000_000]), 0, sigma, 0.001).own
    assert radius == pytest.approx(bound, rel=5e-3)


def test_wrong_and_wide_inputs_have_no_hinge_and_all_gradients_are_finite():
    """Wrong, saturated, wide, narrow: only the last asks for more."""
    rows = torch.tensor([[0.0, 5.0, 0.0], [900.0, 0.0, 0.0], [20.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    logits = rows.repeat(3, 1, 1).requires_grad_()
    loss = hinge(logits, torch.zeros(4, dtype=torch.int64), 8.0, 1.0)
    loss.backward()
    shares = softmax([1.0, 0.0, 0.0])
    assert loss.item() == pytest.approx((8 - norm.ppf(shares[0]) + norm.ppf(shares[1])) / 4, rel=1e-6)
    assert bool(logits.grad.isfinite().all())
    assert bool((logits.grad[:, :3] == 0).all())
    assert bool((logits.grad[:, 3, 0] < 0).all())


def test_a_batch_without_a_right_answer_still_has_a_gradient():
    logits = torch.tensor([[[0.0, 5.0]]], requires_grad=True)
    loss = WideCopies(0.3, 1, 12.0, 8.0, 16.0).measured(logits, torch.tensor([0]))
    loss.backward()
    assert loss.item() == pytest.approx(np.log1p(np.exp(5.0)), rel=1e-5)
    assert bool((logits.grad != 0).all())


# --- SmoothAdv ------------------------------------------------------------------------------------


def linear(inputs=6):
    """Logits (w x, 0): the truth 0 is attacked along -w, the truth 1 along +w, for every noise."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(inputs, 2))
    with torch.no_grad():
        net[1].weight.copy_(torch.stack([torch.linspace(-2, 3, inputs), torch.zeros(inputs)]))
        net[1].bias.zero_()
    return net, net[1].weight[0].detach()


@pytest.mark.parametrize("eps", [0.1, 1.0])
@pytest.mark.parametrize("draws", [1, 4])
def test_a_linear_classifier_is_trained_at_its_worst_points(eps, draws):
    (net, weight), (x, y) = linear(), batch(outputs=2)
    objective = AdversarialCopies(0.3, draws, assault(eps))
    worst = x + (2.0 * y - 1).view(-1, 1, 1, 1) * eps * (weight / weight.norm()).view(1, 1, 2, 3)
    found, expected = objective.loss(net, x, y, moment()), gaussian_on_copies(net, worst, y, 0.3, draws)
    clean = gaussian_on_copies(net, x, y, 0.3, draws)
    assert found.item() - clean.item() == pytest.approx(expected.item() - clean.item(), rel=1e-3)
    assert found.item() <= expected.item() + 1e-6


def test_the_attack_fools_the_smoothed_classifier_and_not_each_copy_on_its_own():
    """Against a search of the disc, where the highest points of the two losses differ."""
    draws, eps, net = 4, 0.7, bumps()
    x, y = torch.zeros(1, 2), torch.tensor([0])
    noise = 0.8 * standard_noise(x, draws, torch.Generator().manual_seed(0))
    angle, share = torch.meshgrid(torch.linspace(0, 2 * np.pi, 721), torch.linspace(0, 1, 61), indexing="ij")
    disc = (eps * share[..., None] * torch.stack([angle.cos(), angle.sin()], dim=-1)).reshape(-1, 2)

    def losses(points):
        logits = net((points + noise).flatten(0, 1)).unflatten(0, (draws, -1)).detach()
        chances = logits.softmax(dim=2)[..., 0]
        return -chances.mean(dim=0).log(), -chances.log().mean(dim=0)

    smoothed, each = losses(disc)
    at = AdversarialCopies(0.8, draws, assault(eps, steps=40)).moved(net, x, y, noise, moment())
    found = losses(at)[0].item()
    assert found == pytest.approx(smoothed.max().item(), abs=1e-3)
    assert found > smoothed[each.argmax()].item() + 0.1


def bumps():
    """A smooth network of two inputs whose copies disagree about the direction of an attack."""
    torch.manual_seed(12)
    net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(3.0)
    return net


@pytest.mark.parametrize("domain", [EVERYWHERE, Domain(), Domain("grid", 0, 1, 8)])
def test_attacked_points_stay_in_the_ball_and_in_the_domain(domain):
    net, (x, y) = network(), batch()
    x = (x * 8).round() / 8
    objective = AdversarialCopies(0.3, 2, assault(0.4, domain=domain))
    noise = 0.3 * standard_noise(x, 2, torch.Generator())
    moved = objective.moved(net, x, y, noise, moment())
    length = (moved.double() - x.double()).flatten(1).norm(dim=1)
    assert bool((length <= 0.4).all())
    assert bool((length > 0.1).any())
    if domain.bounded:
        assert bool(((moved >= 0) & (moved <= 1)).all())
    if domain.kind == "grid":
        assert torch.allclose(moved * 8, (moved * 8).round(), atol=1e-5)


def test_the_radius_rises_linearly_over_the_warm_up():
    slow = assault(0.8, warmup=10.0)
    assert [slow.radius(passed) for passed in (0, 2.5, 5, 10, 40)] == [0, 0.2, 0.4, 0.8, 0.8]
    assert assault(0.8, warmup=0.0).radius(0) == 0.8


def test_an_attack_leaves_batch_norm_dropout_modes_and_gradients_alone():
    norm_layer, frozen = nn.BatchNorm1d(6), nn.Dropout(0.5).eval()
    net = nn.Sequential(nn.Flatten(), norm_layer, nn.Linear(6, 3), frozen)
    net.train()
    frozen.eval()
    x, y = batch()
    loss = AdversarialCopies(0.3, 2, assault(0.4)).loss(net, x, y, moment())
    assert norm_layer.num_batches_tracked.item() == 1
    assert (norm_layer.training, frozen.training) == (True, False)
    assert all(parameter.grad is None for parameter in net.parameters())
    loss.backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


# --- the trainers ---------------------------------------------------------------------------------


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


def test_the_mean_answer_is_a_distribution():
    assert torch.allclose(log_mean(some_logits()).exp().sum(dim=1), torch.ones(7, dtype=torch.float64))
    assert F.softmax(some_logits(), dim=2).mean(dim=0).log().allclose(log_mean(some_logits()))
