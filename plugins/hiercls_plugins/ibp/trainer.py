"""The ibp trainer."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from hiercls.contracts.components import Task, Trainer
from hiercls.contracts.context import Context
from hiercls.contracts.schedules import Schedule, Steps

if TYPE_CHECKING:
    import torch

SCHEDULE = Schedule(epochs=60, batch=256, optimizer="adam", rate=5e-4, decay=Steps(at=(42, 52), by=0.2), clip=10.0)


class Ibp(Trainer):
    """Fit a network on the worst case over an l_inf ball, by interval bounds (Gowal et al. 2018; Shi et al. 2021).

    The loss is kappa CE(clean) + (1 - kappa) CE(worst case). Batch norm has the statistics of the clean pass.

    Attributes:
        eps: the budget trained for, in units of the view; somewhat above the budget asked for pays on some data.
        kappa: the clean weight at the end of the ramp; it starts at 1.
        ramp: the epochs over which the budget rises from 0 to eps. Before it, the network warms up on clean inputs.
        initialisation: how a fresh network begins. fast draws weights whose boxes neither grow nor shrink from layer
            to layer; keep leaves those of its architecture. A network with `init` begins with the weights it is given.
        regularisation: the weight, at budget 0, of what keeps boxes tight and ReLUs balanced until the ramp ends;
            0 leaves it away.
        schedule: what a YAML leaves out has the defaults of this trainer, not those of every schedule.
    """

    eps: float = Field(gt=0)
    kappa: float = Field(default=0.5, ge=0, le=1)
    ramp: tuple[float, float] = (1.0, 21.0)
    initialisation: Literal["fast", "keep"] = "fast"
    regularisation: float = Field(default=0.5, ge=0)
    schedule: Schedule = SCHEDULE

    @field_validator("schedule", mode="before")
    @classmethod
    def _over_its_own_defaults(cls, value: Any) -> Any:
        return {**SCHEDULE.model_dump(), **value} if isinstance(value, Mapping) else value

    @model_validator(mode="after")
    def _ramp_ends_in_time(self) -> "Ibp":
        start, end = self.ramp
        if not 0 <= start < end <= self.schedule.epochs:
            raise ValueError(
                f"the ramp [{start:g}, {end:g}] must rise within the {self.schedule.epochs} epochs of the schedule"
            )
        return self

    def fit(self, network: "torch.nn.Module", task: Task, context: Context) -> "torch.nn.Module":
        from hiercls.contracts.fitting import descend
        from hiercls_plugins.ibp.initial import draw_fast_weights
        from hiercls_plugins.ibp.objective import WorstCase
        from hiercls_plugins.ibp.ramp import Ramp

        if self.initialisation == "fast" and not task.started:
            draw_fast_weights(network, context.generator(INITIAL))
        ramp = Ramp(self.eps, self.kappa, *self.ramp)
        return descend(network, WorstCase(ramp, self.regularisation, task.domain), task, self.schedule, context)

    def certifier(self) -> Mapping[str, Mapping[str, Any]]:
        return {"ibp": {}}


INITIAL = 21
"""The key of the draws of fast initial weights."""
