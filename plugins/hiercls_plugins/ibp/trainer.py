"""The ibp trainer."""

from typing import TYPE_CHECKING

from hiercls.contracts.components import Task
from hiercls_plugins.bounds.training.component import BoundTrainer

if TYPE_CHECKING:
    from hiercls_plugins.bounds.training.objective import WorstCase
    from hiercls_plugins.bounds.training.ramp import Ramp


class Ibp(BoundTrainer):
    """Fit a network on interval bounds (Gowal et al. 2018; Shi et al. 2021).

    The worst case is the cross-entropy of the least favourable logits.
    """

    def objective(self, ramp: "Ramp", task: Task) -> "WorstCase":
        from hiercls_plugins.bounds.training.objective import WorstCase

        return WorstCase(ramp, task.domain, self.regularisation, self.l1)
