"""The smooth-adv, consistency and macer trainers."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from hiercls.contracts.components import Task, Trainer
from hiercls.contracts.context import Context
from hiercls.contracts.schedules import Schedule

if TYPE_CHECKING:
    import torch

    from hiercls_plugins.noise_training.copies import OnCopies


class NoiseTrainer(Trainer):
    """Fit a network on several noisy copies of every input, for randomised smoothing.

    A step passes `draws` times its batch through the network.

    Attributes:
        sigma: standard deviation of the noise, in units of the view.
        draws: noisy copies of an input in one step.
        schedule: the course of the training.
    """

    sigma: float = Field(gt=0, allow_inf_nan=False)
    draws: int = Field(default=2, gt=0)
    schedule: Schedule = Schedule()

    @abstractmethod
    def objective(self, task: Task) -> "OnCopies":
        """What is minimised."""

    def fit(self, network: "torch.nn.Module", task: Task, context: Context) -> "torch.nn.Module":
        from hiercls.contracts.fitting import descend

        return descend(network, self.objective(task), task, self.schedule, context)

    def certifier(self) -> Mapping[str, Mapping[str, Any]]:
        return {"smoothing": {"sigma": self.sigma}}


class SmoothAdv(NoiseTrainer):
    """Fit a network on noisy copies of points that fool the smoothed classifier (Salman et al. 2019, SmoothAdv-PGD).

    Used for CIFAR-10 were eps 0.25 to 2, 2 or 10 steps, 1 to 8 draws and 10 epochs of warm-up. `eps` shapes the
    training; what the network holds is said by its certificates.

    Attributes:
        sigma: standard deviation of the noise, in units of the view.
        draws: noisy copies of an input in one step; attack and training share them.
        eps: the l2 radius in which the attack looks, in units of the view.
        attack_steps: gradients that each attack takes.
        attack_step: the length of one, as a share of `eps`.
        warmup: the epochs over which `eps` rises linearly from 0.
        schedule: the course of the training.
    """

    eps: float = Field(gt=0, allow_inf_nan=False)
    attack_steps: int = Field(default=4, gt=0)
    attack_step: float = Field(default=1.0, gt=0)
    warmup: float = Field(default=10.0, ge=0)

    @model_validator(mode="after")
    def _warms_up_in_time(self) -> "SmoothAdv":
        if not self.warmup < self.schedule.epochs:
            raise ValueError(
                f"the warm-up of {self.warmup:g} epochs must end within the {self.schedule.epochs} of the schedule"
            )
        return self

    def objective(self, task: Task) -> "OnCopies":
        from hiercls_plugins.noise_training.adversarial import AdversarialCopies, Assault

        assault = Assault(self.eps, self.attack_steps, self.attack_step, self.warmup, task.domain)
        return AdversarialCopies(self.sigma, self.draws, assault)


class Consistency(NoiseTrainer):
    """Fit a network whose answers to noisy copies of an input agree (Jeong and Shin 2020).

    The loss is the cross-entropy of all copies + lbd (mean KL of the mean answer to each copy's) + eta (entropy of
    the mean answer).

    Attributes:
        sigma: standard deviation of the noise, in units of the view.
        draws: noisy copies of an input in one step, at least 2.
        lbd: the weight of the disagreement; used for CIFAR-10 were 20 at sigma 0.25 and 10 at 0.5 and 1.
        eta: the weight of the entropy.
        schedule: the course of the training.
    """

    draws: int = Field(default=2, ge=2)
    lbd: float = Field(default=10.0, ge=0, allow_inf_nan=False)
    eta: float = Field(default=0.5, ge=0, allow_inf_nan=False)

    def objective(self, task: Task) -> "OnCopies":
        from hiercls_plugins.noise_training.agreement import AgreeingCopies

        return AgreeingCopies(self.sigma, self.draws, self.lbd, self.eta)


class Macer(NoiseTrainer):
    """Fit a network for a large certified radius, without an attack (Zhai et al. 2020, MACER).

    The loss is the cross-entropy of the mean answer + lbd times the hinge of the soft radius of each input that is
    answered right.

    Attributes:
        sigma: standard deviation of the noise, in units of the view.
        draws: noisy copies of an input in one step.
        lbd: the weight of the hinge.
        gamma: the soft radius, in units of sigma / 2, beyond which an input asks for no more.
        beta: how sharply copies vote: the factor of the logits before the softmax of the soft radius.
        schedule: the course of the training.
    """

    draws: int = Field(default=16, gt=0)
    lbd: float = Field(default=12.0, ge=0, allow_inf_nan=False)
    gamma: float = Field(default=8.0, gt=0, allow_inf_nan=False)
    beta: float = Field(default=16.0, gt=0, allow_inf_nan=False)

    def objective(self, task: Task) -> "OnCopies":
        from hiercls_plugins.noise_training.radii import WideCopies

        return WideCopies(self.sigma, self.draws, self.lbd, self.gamma, self.beta)
