"""The loss of training on interval bounds."""

import torch
import torch.nn.functional as F

from hiercls.contracts.fitting import Moment, Stateless
from hiercls.words.threats import Domain
from hiercls_plugins.bounds.bounded import Bounded, Features
from hiercls_plugins.bounds.boxes import around
from hiercls_plugins.ibp.ramp import Ramp
from hiercls_plugins.ibp.regulariser import penalty

FLOOR = 1e-3
"""The share of eps that boxes have at least where they only serve the regulariser: it measures ratios."""


class WorstCase(Stateless):
    """kappa CE(clean) + (1 - kappa) CE(worst case), and the regulariser of Shi et al. (2021) until the ramp ends."""

    def __init__(self, ramp: Ramp, regularisation: float, domain: Domain):
        self.ramp = ramp
        self.regularisation = regularisation
        self.domain = domain
        self._bounded: Bounded | None = None

    def loss(self, network: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, moment: Moment) -> torch.Tensor:
        bounded = self._trace(network)
        logits, statistics = bounded.concrete(x)
        clean = F.cross_entropy(logits, y)
        kappa, intensity = self._weights(moment.passed)
        if kappa == 1 and intensity == 0:
            return clean
        box = around(x, max(self.ramp.budget(moment.passed), FLOOR * self.ramp.eps), self.domain)
        features = bounded.features(box, statistics)
        total = kappa * clean
        if kappa < 1:
            total = total + (1 - kappa) * worst_case(features, y)
        if intensity > 0:
            total = total + intensity * penalty(box, features.before_relu)
        return total

    def _weights(self, passed: float) -> tuple[float, float]:
        """Of the clean loss and of the regulariser."""
        return self.ramp.clean_weight(passed), self.regularisation * (1 - self.ramp.progress(passed))

    def _trace(self, network: torch.nn.Module) -> Bounded:
        if self._bounded is None or self._bounded.network is not network:
            self._bounded = Bounded(network)
        return self._bounded


def worst_case(features: Features, y: torch.Tensor) -> torch.Tensor:
    """The cross-entropy of the least favourable logits: 0 for the truth, minus the lowest margin for each other."""
    identity = torch.eye(len(features.weight), dtype=features.weight.dtype, device=y.device)
    margins = features.lowest(identity[y][:, None, :] - identity)
    return F.cross_entropy(-margins, y)
