"""The options that trainers share which attack inside a box."""

from abc import ABC
from typing import TYPE_CHECKING

from pydantic import Field

from hiercls_plugins.bounds.training.component import BoundTrainer

if TYPE_CHECKING:
    from hiercls_plugins.bounds.training.adversary import Adversary


class AdversarialTrainer(BoundTrainer, ABC):
    """A trainer on bounds that attacks every batch first.

    Attributes:
        kappa: the clean weight at the end of the ramp. 0, since the papers drop the clean loss after the warm-up;
            here it falls over the ramp, as for every trainer on bounds.
        attack_steps: gradients that each attack takes.
        attack_step: the length of one, as a share of the ball's radius. One step of 10 ends in a corner, and is
            enough except at budgets as small as 2/255, for which 8 steps of 0.25 are published (De Palma et al. 2024).
    """

    kappa: float = Field(default=0.0, ge=0, le=1)
    attack_steps: int = Field(default=1, gt=0)
    attack_step: float = Field(default=10.0, gt=0)

    def adversary(self) -> "Adversary":
        from hiercls_plugins.bounds.training.adversary import Adversary

        return Adversary(self.attack_steps, self.attack_step)
