"""A network, a batch and a moment for trainers on noise, and Gaussian training on copies to compare with."""

import torch
from torch import nn

from hiercls.contracts.fitting import Moment
from hiercls.words.threats import EVERYWHERE
from hiercls_plugins.noise_training.adversarial import Assault
from hiercls_plugins.smoothing.noise import NoisyCrossEntropy


def moment(seed=0, epoch=20, step=0):
    return Moment(epoch, 100 * epoch + step, 100, 60, torch.Generator().manual_seed(seed))


def network(inputs=6, outputs=3, seed=1):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 8), nn.Tanh(), nn.Linear(8, outputs))


def batch(count=10, outputs=3, seed=2):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 1, 2, 3, generator=generator), torch.arange(count) % outputs


def assault(eps, steps=10, step=1.0, warmup=0.0, domain=EVERYWHERE):
    return Assault(eps, steps, step, warmup, domain)


def gaussian_on_copies(net, x, y, sigma, draws, seed=0):
    return NoisyCrossEntropy(sigma).loss(net, x.repeat(draws, 1, 1, 1), y.repeat(draws), moment(seed))
