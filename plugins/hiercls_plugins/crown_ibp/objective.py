"""The loss of CROWN-IBP training."""

import torch
import torch.nn.functional as F

from hiercls.words.threats import Domain
from hiercls_plugins.bounds.crown import Crown
from hiercls_plugins.bounds.training.fusion import fused_loss, margin_bounds
from hiercls_plugins.bounds.training.objective import Step, WorstCase
from hiercls_plugins.bounds.training.ramp import Ramp


class CrownWorstCase(WorstCase):
    """The worst case by CROWN-IBP at first, and by interval bounds more and more."""

    def __init__(self, ramp: Ramp, domain: Domain, regularisation: float, l1: float, beta: float):
        super().__init__(ramp, domain, regularisation, l1)
        self.beta = beta

    def worst(self, step: Step) -> torch.Tensor:
        beta = 1 - (1 - self.beta) * step.progress
        lowest, _ = margin_bounds(step.features, step.y)
        if beta == 0:
            return F.cross_entropy(-lowest, step.y)
        crown = Crown(step.bounded, step.features, step.statistics)
        if lowest.shape[1] == 2:
            return F.cross_entropy(-(beta * _margins(crown, step.y) + (1 - beta) * lowest), step.y)
        robust = torch.ones_like(lowest, dtype=torch.bool).scatter_(1, step.y[:, None], False)
        fused = fused_loss(crown, step.y, robust, lowest.new_zeros(len(lowest))).mean()
        return beta * fused + (1 - beta) * F.cross_entropy(-lowest, step.y) if beta < 1 else fused


def _margins(crown: Crown, y: torch.Tensor) -> torch.Tensor:
    """The lowest margin of the truth over the other one of two outputs, (N, 2), 0 at the truth."""
    sign = 1.0 - 2.0 * y.to(crown.features.weight.dtype)
    row = torch.stack([sign, -sign], dim=1)[:, None, :]
    return crown.lowest(row) * F.one_hot(1 - y, 2)
