"""The mtl-ibp, cc-ibp and exp-ibp trainers."""

from abc import abstractmethod
from typing import TYPE_CHECKING

from pydantic import Field

from hiercls.contracts.components import Task
from hiercls_plugins.bounds.training.adversarial import AdversarialTrainer

if TYPE_CHECKING:
    from hiercls_plugins.bounds.training.objective import WorstCase
    from hiercls_plugins.bounds.training.ramp import Ramp
    from hiercls_plugins.expressive.losses import Combination


class Expressive(AdversarialTrainer):
    """What the three trainers share; they differ in how they combine bounds with an attack.

    Attributes:
        alpha: the weight of the bounds; 1 is IBP, near 0 adversarial training. Published for CNN7: MNIST 0.1 .01,
            MNIST 0.3 .08, CIFAR-10 2/255 .004 and 8/255 .5 for mtl-ibp.
    """

    alpha: float = Field(gt=0, le=1)

    @abstractmethod
    def combination(self) -> "Combination":
        """How it combines them."""

    def objective(self, ramp: "Ramp", task: Task) -> "WorstCase":
        from hiercls_plugins.expressive.losses import Combined

        return Combined(
            ramp, task.domain, self.adversary(), self.alpha, self.combination(), self.regularisation, self.l1
        )


class MtlIbp(Expressive):
    """Fit a network on alpha L_IBP + (1 - alpha) L_adv (De Palma et al. 2024, MTL-IBP)."""

    def combination(self) -> "Combination":
        from hiercls_plugins.expressive.losses import losses

        return losses


class CcIbp(Expressive):
    """Fit a network on the cross-entropy of margins alpha m_IBP + (1 - alpha) m_adv (De Palma et al. 2024, CC-IBP)."""

    def combination(self) -> "Combination":
        from hiercls_plugins.expressive.losses import margins

        return margins


class ExpIbp(Expressive):
    """Fit a network on L_IBP^alpha L_adv^(1 - alpha) (De Palma et al. 2024, Exp-IBP)."""

    def combination(self) -> "Combination":
        from hiercls_plugins.expressive.losses import powers

        return powers
