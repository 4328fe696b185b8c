"""Copies around points that fool the smoothed classifier."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from hiercls.contracts.ascent import ascend
from hiercls.contracts.fitting import Moment
from hiercls.words.norms import L2
from hiercls.words.threats import Domain
from hiercls_plugins.noise_training.copies import OnCopies, answers, log_mean, mean_cross_entropy


@dataclass(frozen=True)
class Assault:
    """How the smoothed classifier is attacked in training.

    Attributes:
        eps: the l2 radius at the end of the warm-up.
        steps: gradients taken.
        step: the length of each, as a share of the radius.
        warmup: the epochs over which the radius rises linearly from 0.
        domain: where attacked points lie; their noisy copies lie anywhere.
    """

    eps: float
    steps: int
    step: float
    warmup: float
    domain: Domain

    def radius(self, passed: float) -> float:
        """The l2 radius when `passed` epochs are gone."""
        return self.eps * min(1.0, passed / self.warmup) if self.warmup else self.eps


class AdversarialCopies(OnCopies):
    """The cross-entropy of noisy copies of attacked points (Salman et al. 2019, section 3).

    The attack climbs -log of the mean probability of the truth, not the mean of -log: the smoothed classifier is what
    it fools. Its copies are those that are then trained on. It starts at a random point of the ball and keeps the
    highest point that it visits, where the paper starts at the input and keeps the last one.
    """

    def __init__(self, sigma: float, draws: int, assault: Assault):
        super().__init__(sigma, draws)
        self.assault = assault

    def moved(
        self, network: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, noise: torch.Tensor, moment: Moment
    ) -> torch.Tensor:
        radius = self.assault.radius(moment.passed)
        if radius == 0:
            return x

        def height(points: torch.Tensor, _: int) -> torch.Tensor:
            return F.nll_loss(log_mean(answers(network, points, noise)), y, reduction="none")

        with evaluating(network):
            return ascend(
                height,
                x,
                torch.full((len(x),), radius, dtype=torch.float64),
                L2,
                self.assault.domain,
                steps=self.assault.steps,
                step=self.assault.step,
                restarts=1,
                generator=moment.generator,
            )

    def measured(self, logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return mean_cross_entropy(logits, y)


@contextmanager
def evaluating(network: torch.nn.Module) -> Iterator[None]:
    """Eval mode while the network is attacked, so that the attack leaves batch norms alone; then each module's own."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
