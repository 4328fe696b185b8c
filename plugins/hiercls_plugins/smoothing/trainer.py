"""The trainer whose networks smoothing suits."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from hiercls.contracts.components import Task, Trainer
from hiercls.contracts.context import Context
from hiercls.contracts.schedules import Schedule

if TYPE_CHECKING:
    import torch


class Gaussian(Trainer):
    """Fit a network on inputs with fresh Gaussian noise (Cohen et al. 2019, section 3.2).

    Attributes:
        sigma: standard deviation of the noise, in units of the view.
        schedule: the course of the training.
    """

    sigma: float = Field(gt=0, allow_inf_nan=False)
    schedule: Schedule = Schedule()

    def fit(self, network: "torch.nn.Module", task: Task, context: Context) -> "torch.nn.Module":
        from hiercls.contracts.fitting import descend
        from hiercls_plugins.smoothing.noise import NoisyCrossEntropy

        return descend(network, NoisyCrossEntropy(self.sigma), task, self.schedule, context)

    def certifier(self) -> Mapping[str, Mapping[str, Any]]:
        return {"smoothing": {"sigma": self.sigma}}
