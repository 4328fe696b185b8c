"""The sabr trainer."""

from typing import TYPE_CHECKING

from pydantic import Field

from hiercls.contracts.components import Task
from hiercls_plugins.bounds.training.adversarial import AdversarialTrainer

if TYPE_CHECKING:
    from hiercls_plugins.bounds.training.objective import WorstCase
    from hiercls_plugins.bounds.training.ramp import Ramp


class Sabr(AdversarialTrainer):
    """Fit a network on small boxes around adversarial points (Mueller et al. 2023, SABR).

    The worst case is that of interval bounds over a box of `share` times the budget, inside the ball and the domain.
    The paper attacks with 8 steps; one is the default here, for its cost. IBP is `share: 1`.

    Attributes:
        share: the radius of the boxes as a share of the budget (lambda in the paper).
    """

    share: float = Field(gt=0, le=1)

    def objective(self, ramp: "Ramp", task: Task) -> "WorstCase":
        from hiercls_plugins.sabr.objective import SmallBoxes

        return SmallBoxes(ramp, task.domain, self.adversary(), self.share, self.regularisation, self.l1)
