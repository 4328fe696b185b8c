"""Convex combinations of interval bounds and an attack (De Palma et al. 2024, section 4).

All three grow with alpha from the adversarial loss, a lower bound of the robust loss, to the IBP loss, an upper one.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from hiercls.words.threats import Domain
from hiercls_plugins.bounds.training.adversary import Adversary, outputs
from hiercls_plugins.bounds.training.fusion import margin_bounds
from hiercls_plugins.bounds.training.objective import Step, WorstCase, worst_case
from hiercls_plugins.bounds.training.ramp import Ramp

Combination = Callable[[Step, torch.Tensor, float], torch.Tensor]
"""(step, adversarial logits (N, K), alpha) to a loss."""

TINY = 1e-12
"""Below it a mean adversarial loss has no power with a finite gradient, and counts as this."""


class Combined(WorstCase):
    """`WorstCase` with a combination of bounds and attack in the place of the bounds."""

    def __init__(
        self,
        ramp: Ramp,
        domain: Domain,
        adversary: Adversary,
        alpha: float,
        combination: Combination,
        regularisation: float = 0.0,
        l1: float = 0.0,
    ):
        super().__init__(ramp, domain, regularisation, l1)
        self.adversary = adversary
        self.alpha = alpha
        self.combination = combination

    def worst(self, step: Step) -> torch.Tensor:
        attacked = self.adversary.point(step, step.box)
        return self.combination(step, outputs(step.bounded, attacked, step.statistics), self.alpha)


def losses(step: Step, logits: torch.Tensor, alpha: float) -> torch.Tensor:
    """MTL-IBP: alpha L_IBP + (1 - alpha) L_adv."""
    return alpha * worst_case(step.features, step.y) + (1 - alpha) * F.cross_entropy(logits, step.y)


def margins(step: Step, logits: torch.Tensor, alpha: float) -> torch.Tensor:
    """CC-IBP: the cross-entropy of alpha m_IBP + (1 - alpha) m_adv, m the margins of the truth over each output."""
    attacked = logits.gather(1, step.y[:, None]) - logits
    lowest, _ = margin_bounds(step.features, step.y)
    return F.cross_entropy(-(alpha * lowest + (1 - alpha) * attacked), step.y)


def powers(step: Step, logits: torch.Tensor, alpha: float) -> torch.Tensor:
    """Exp-IBP: L_IBP^alpha L_adv^(1 - alpha)."""
    attacked = F.cross_entropy(logits, step.y).clamp_min(TINY)
    return worst_case(step.features, step.y).clamp_min(TINY) ** alpha * attacked ** (1 - alpha)
