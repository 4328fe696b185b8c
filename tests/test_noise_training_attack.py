"""The attack of SmoothAdv, against closed forms and brute force."""

import numpy as np
import pytest
import torch
from noise_toys import assault, batch, gaussian_on_copies, moment, network
from torch import nn

from hiercls.words.threats import EVERYWHERE, Domain
from hiercls_plugins.noise_training.adversarial import AdversarialCopies
from hiercls_plugins.noise_training.copies import standard_noise


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
