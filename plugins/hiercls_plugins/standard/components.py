"""The plain trainer and its options."""

from typing import TYPE_CHECKING

from pydantic import Field

from hiercls.contracts.components import Task, Trainer
from hiercls.contracts.context import Context
from hiercls.contracts.schedules import Schedule

if TYPE_CHECKING:
    import torch


class Standard(Trainer):
    """Fit a network with cross entropy on clean inputs; nothing about it is robust.

    Attributes:
        label_smoothing: the share of each target that is spread evenly over all outputs.
    """

    schedule: Schedule = Schedule()
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)

    def fit(self, network: "torch.nn.Module", task: Task, context: Context) -> "torch.nn.Module":
        from hiercls.contracts.fitting import descend
        from hiercls_plugins.standard.objective import CrossEntropy

        return descend(network, CrossEntropy(self.label_smoothing), task, self.schedule, context)
