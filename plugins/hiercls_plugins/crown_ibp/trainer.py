"""The crown-ibp trainer."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from hiercls.contracts.components import Task
from hiercls_plugins.bounds.training.component import BoundTrainer

if TYPE_CHECKING:
    from hiercls_plugins.bounds.training.objective import WorstCase
    from hiercls_plugins.bounds.training.ramp import Ramp


class CrownIbp(BoundTrainer):
    """Fit a network on CROWN-IBP bounds (Zhang et al. 2020), with loss fusion (Xu et al. 2020).

    The worst case is beta (CROWN-IBP) + (1 - beta) (IBP), beta falling from 1 with the rising budget. With two
    outputs the margin itself is bounded and the two bounds are mixed; with more, one row bounds the fused
    cross-entropy and the two losses are mixed.

    Attributes:
        beta: the weight of CROWN-IBP at the end of the ramp.
    """

    beta: float = Field(default=0.0, ge=0, le=1)

    def objective(self, ramp: "Ramp", task: Task) -> "WorstCase":
        from hiercls_plugins.crown_ibp.objective import CrownWorstCase

        return CrownWorstCase(ramp, task.domain, self.regularisation, self.l1, self.beta)

    def certifier(self) -> Mapping[str, Mapping[str, Any]]:
        return {"crown-ibp": {}}
