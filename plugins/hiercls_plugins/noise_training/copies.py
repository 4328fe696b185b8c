"""Noisy copies of a batch, and what a network answers to them."""

from abc import ABC, abstractmethod
from math import log

import torch
import torch.nn.functional as F

from hiercls.contracts.fitting import Moment, Stateless


class OnCopies(Stateless, ABC):
    """A loss of the logits at `draws` copies of every input with N(0, sigma^2) noise, which is never clipped."""

    def __init__(self, sigma: float, draws: int):
        self.sigma = sigma
        self.draws = draws

    def loss(self, network: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, moment: Moment) -> torch.Tensor:
        noise = self.sigma * standard_noise(x, self.draws, moment.generator)
        return self.measured(answers(network, self.moved(network, x, y, noise, moment), noise), y)

    def moved(
        self, network: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, noise: torch.Tensor, moment: Moment
    ) -> torch.Tensor:
        """The points whose copies are trained on; the inputs themselves, unless an objective attacks them."""
        return x

    @abstractmethod
    def measured(self, logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The scalar loss of the logits at all copies, (draws, N, K)."""


def standard_noise(x: torch.Tensor, draws: int, generator: torch.Generator) -> torch.Tensor:
    """(draws, N, ...) standard normal draws, made in float32 by a CPU generator, wherever `x` lies."""
    return torch.randn((draws, *x.shape), generator=generator, dtype=torch.float32).to(x.device)


def answers(network: torch.nn.Module, x: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """The logits at x + noise in one pass, (draws, N, K) float32; x: (N, ...), noise: (draws, N, ...)."""
    return network((x + noise).flatten(0, 1)).float().unflatten(0, noise.shape[:2])


def log_mean(logits: torch.Tensor) -> torch.Tensor:
    """The log of the soft smoothed classifier: of the probabilities averaged over all copies, (N, K)."""
    return F.log_softmax(logits, dim=2).logsumexp(dim=0) - log(len(logits))


def mean_cross_entropy(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The cross-entropy of every copy on its own, averaged."""
    return F.cross_entropy(logits.flatten(0, 1), y.repeat(len(logits)))
