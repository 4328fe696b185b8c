"""The options that all trainers on bounds share."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from hiercls.contracts.components import Task, Trainer
from hiercls.contracts.context import Context
from hiercls.contracts.schedules import Schedule, Steps

if TYPE_CHECKING:
    import torch

    from hiercls_plugins.bounds.training.objective import WorstCase
    from hiercls_plugins.bounds.training.ramp import Ramp

SCHEDULE = Schedule(epochs=60, batch=256, optimizer="adam", rate=5e-4, decay=Steps(at=(42, 52), by=0.2), clip=10.0)


class BoundTrainer(Trainer):
    """Fit a network on the worst case over an l_inf ball, with budgets that rise from 0.

    The loss is kappa CE(clean) + (1 - kappa) (worst case) + what `regularisation` and `l1` add. Batch norm has the
    statistics of the clean pass.

    Attributes:
        eps: the budget trained for, in units of the view; somewhat above the budget asked for pays on some data.
        kappa: the clean weight at the end of the ramp; it starts at 1.
        ramp: the epochs over which the budget rises from 0 to eps. Before it, the network warms up on clean inputs.
        initialisation: how a fresh network begins. fast draws weights whose boxes neither grow nor shrink from layer
            to layer; keep leaves those of its architecture. A network with `init` begins with the weights it is given.
        regularisation: the weight, at budget 0, of what keeps boxes tight and ReLUs balanced until the ramp ends;
            0 leaves it away.
        l1: the weight of the sum of the absolute weights of all linear and convolutional layers.
        schedule: what a YAML leaves out has the defaults of this trainer, not those of every schedule.
    """

    eps: float = Field(gt=0)
    kappa: float = Field(default=0.5, ge=0, le=1)
    ramp: tuple[float, float] = (1.0, 21.0)
    initialisation: Literal["fast", "keep"] = "fast"
    regularisation: float = Field(default=0.5, ge=0)
    l1: float = Field(default=0.0, ge=0)
    schedule: Schedule = SCHEDULE

    @field_validator("schedule", mode="before")
    @classmethod
    def _over_its_own_defaults(cls, value: Any) -> Any:
        return {**SCHEDULE.model_dump(), **value} if isinstance(value, Mapping) else value

    @model_validator(mode="after")
    def _ramp_ends_in_time(self) -> "BoundTrainer":
        start, end = self.ramp
        if not 0 <= start < end <= self.schedule.epochs:
            default = "" if "ramp" in self.model_fields_set else "default "
            raise ValueError(
                f"the {default}ramp [{start:g}, {end:g}] must rise within the {self.schedule.epochs} epochs of the "
                f"schedule{default and '; write a `ramp` that does'}"
            )
        return self

    @abstractmethod
    def objective(self, ramp: "Ramp", task: Task) -> "WorstCase":
        """What is minimised."""

    def fit(self, network: "torch.nn.Module", task: Task, context: Context) -> "torch.nn.Module":
        from hiercls.contracts.fitting import descend
        from hiercls_plugins.bounds.training.initial import draw_fast_weights
        from hiercls_plugins.bounds.training.ramp import Ramp

        if self.initialisation == "fast" and not task.started:
            draw_fast_weights(network, context.generator(INITIAL))
        ramp = Ramp(self.eps, self.kappa, *self.ramp)
        return descend(network, self.objective(ramp, task), task, self.schedule, context)

    def budget(self) -> float:
        return self.eps

    def warnings(self) -> tuple[str, ...]:
        """What the epochs do not fit: a decay that comes too late, and an average over weights of smaller budgets."""
        return (*self._late_decay(), *self._early_average())

    def _late_decay(self) -> Iterator[str]:
        if late := self.schedule.unreached:
            default = "default " if self.schedule.decay == SCHEDULE.decay else ""
            yield (
                f"schedule.decay: training ends after {self.schedule.epochs} epochs, before the {default}decay at "
                f"{' and '.join(f'{at:g}' for at in late)}; write one that comes earlier"
            )

    def _early_average(self) -> Iterator[str]:
        average, end = self.schedule.average, self.ramp[1]
        if average is not None and average < end:
            yield (
                f"schedule.average: weights are averaged from epoch {average:g} on, before the ramp ends at {end:g}; "
                "the first of them serve smaller budgets"
            )

    def certifier(self) -> Mapping[str, Mapping[str, Any]]:
        return {"ibp": {}}


INITIAL = 21
"""The key of the draws of fast initial weights."""
