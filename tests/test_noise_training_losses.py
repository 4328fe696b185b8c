"""The losses of training on noise: their limits, consistency and MACER, against sums written out."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from noise_toys import assault, batch, gaussian_on_copies, moment, network
from scipy.special import log_softmax, softmax
from scipy.stats import entropy, norm

from hiercls_plugins.noise_training.adversarial import AdversarialCopies
from hiercls_plugins.noise_training.agreement import AgreeingCopies
from hiercls_plugins.noise_training.copies import answers, log_mean, standard_noise
from hiercls_plugins.noise_training.radii import WideCopies, hinge
from hiercls_plugins.smoothing.statistics import one_sided


def some_logits(draws=5, count=7, outputs=4, scale=2.0, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(draws, count, outputs, generator=generator, dtype=torch.float64)


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


def test_the_mean_answer_is_a_distribution():
    assert torch.allclose(log_mean(some_logits()).exp().sum(dim=1), torch.ones(7, dtype=torch.float64))
    assert F.softmax(some_logits(), dim=2).mean(dim=0).log().allclose(log_mean(some_logits()))
