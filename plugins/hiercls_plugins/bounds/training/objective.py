"""The loss of training on bounds."""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F

from hiercls.contracts.fitting import Moment, Stateless
from hiercls.words.threats import Domain
from hiercls_plugins.bounds.bounded import Bounded, Features
from hiercls_plugins.bounds.boxes import Box, around
from hiercls_plugins.bounds.rules import MATRICES
from hiercls_plugins.bounds.statistics import Statistics
from hiercls_plugins.bounds.training.fusion import margin_bounds
from hiercls_plugins.bounds.training.ramp import Ramp
from hiercls_plugins.bounds.training.regulariser import penalty

FLOOR = 1e-3
"""The share of eps that boxes have at least where they only serve the regulariser: it measures ratios."""


@dataclass(frozen=True)
class Step:
    """One step of training: the clean pass, and what bounds of it may need.

    Attributes:
        x, y: the batch, y (N,) the true outputs.
        logits: of the clean pass, (N, K).
        statistics: those of the clean pass, for batch norms.
        budget: the present budget, positive.
        progress: the present share of the final budget.
    """

    bounded: Bounded
    x: torch.Tensor
    y: torch.Tensor
    logits: torch.Tensor
    statistics: Statistics
    budget: float
    progress: float
    domain: Domain
    moment: Moment

    @cached_property
    def box(self) -> Box:
        """Everything within the budget."""
        return around(self.x, self.budget, self.domain)

    @cached_property
    def features(self) -> Features:
        """Interval bounds over `box`, with those of every operation."""
        return self.bounded.features(self.box, self.statistics, keep=True)


class WorstCase(Stateless):
    """kappa CE(clean) + (1 - kappa) (worst case), the regulariser of Shi et al. (2021) until the ramp ends, and l1.

    The worst case is the cross-entropy of the least favourable logits; other losses on bounds override `worst`.
    """

    def __init__(self, ramp: Ramp, domain: Domain, regularisation: float = 0.0, l1: float = 0.0):
        self.ramp = ramp
        self.domain = domain
        self.regularisation = regularisation
        self.l1 = l1
        self._bounded: Bounded | None = None

    def loss(self, network: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, moment: Moment) -> torch.Tensor:
        bounded = self._trace(network)
        logits, statistics = bounded.concrete(x)
        kappa, intensity = self._weights(moment.passed)
        total = kappa * F.cross_entropy(logits, y)
        if kappa < 1 or intensity > 0:
            budget = max(self.ramp.budget(moment.passed), FLOOR * self.ramp.eps)
            progress = self.ramp.progress(moment.passed)
            step = Step(bounded, x, y, logits, statistics, budget, progress, self.domain, moment)
            if kappa < 1:
                total = total + (1 - kappa) * self.worst(step)
            if intensity > 0:
                total = total + intensity * self.penalty(step)
        return total + self.l1 * absolute_weights(network) if self.l1 else total

    def worst(self, step: Step) -> torch.Tensor:
        """The mean loss of the worst case."""
        return worst_case(step.features, step.y)

    def penalty(self, step: Step) -> torch.Tensor:
        """What keeps boxes tight, before its weight."""
        return penalty(step.box, step.features.before_relu)

    def _weights(self, passed: float) -> tuple[float, float]:
        """Of the clean loss and of the regulariser."""
        return self.ramp.clean_weight(passed), self.regularisation * (1 - self.ramp.progress(passed))

    def _trace(self, network: torch.nn.Module) -> Bounded:
        if self._bounded is None or self._bounded.network is not network:
            self._bounded = Bounded(network)
        return self._bounded


def worst_case(features: Features, y: torch.Tensor) -> torch.Tensor:
    """The cross-entropy of the least favourable logits: 0 for the truth, minus the lowest margin for each other."""
    return F.cross_entropy(-margin_bounds(features, y)[0], y)


def absolute_weights(network: torch.nn.Module) -> torch.Tensor:
    """The sum of the absolute weights of all linear and convolutional layers; biases and norms are free."""
    weights = (layer.weight for layer in network.modules() if isinstance(layer, MATRICES))
    return torch.stack([weight.abs().sum() for weight in weights]).sum()  # type: ignore[operator]
