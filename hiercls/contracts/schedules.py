"""How long, how fast and on what a network is trained: the options of the one training loop. No torch here."""

from collections.abc import Sequence
from math import cos, pi
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

_MOMENTUM = 0.9


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Steps(_Options):
    """A rate that falls in steps: multiplied by `by` at each of the epochs `at`."""

    at: tuple[float, ...] = Field(min_length=1)
    by: float = Field(default=0.1, gt=0)

    @model_validator(mode="after")
    def _ascending(self) -> "Steps":
        if not _ascends((0.0, *self.at)):
            raise ValueError(f"the epochs of a decay must be positive and ascend, found {list(self.at)}")
        return self


class Schedule(_Options):
    """The course of one training.

    Attributes:
        epochs: passes over the training examples.
        batch: examples a step; the last, smaller batch is used too, unless it is a single example.
        optimizer: adam, adamw or sgd.
        rate: the learning rate after warm-up and before any decay.
        momentum: of sgd alone.
        nesterov: Nesterov's form of it, of sgd alone.
        weight_decay: an l2 penalty for adam and sgd, decoupled for adamw.
        decay: constant, cosine to zero, or `{at: [epochs], by: factor}`.
        warmup: epochs over which the rate rises linearly.
        clip: the largest gradient norm; None leaves gradients alone.
        augment: flip (left and right, each with probability 1/2), crop (shifted by up to 4 pixels, zeros outside).
        precision: float32, or bf16 for autocast of the loss; weights stay float32.
        average: the epoch from which weights are averaged, one sample at the end of every epoch that begins there or
            later; the mean is what training gives, with batch norms estimated anew. None keeps the last weights.
    """

    epochs: int = Field(default=20, gt=0)
    batch: int = Field(default=128, gt=0)
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    rate: float = Field(default=1e-3, gt=0)
    momentum: float = Field(default=_MOMENTUM, ge=0, lt=1)
    nesterov: bool = False
    weight_decay: float = Field(default=0.0, ge=0)
    decay: Steps | Literal["cosine", "constant"] = "constant"
    warmup: float = Field(default=0.0, ge=0)
    clip: float | None = Field(default=None, gt=0)
    augment: tuple[Literal["flip", "crop"], ...] = ()
    precision: Literal["float32", "bf16"] = "float32"
    average: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> "Schedule":
        if self.optimizer != "sgd" and (self.momentum != _MOMENTUM or self.nesterov):
            raise ValueError(f"momentum and nesterov belong to sgd, not to {self.optimizer}")
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")
        if self.average is not None and self.average > self.epochs - 1:
            last = self.epochs - 1
            raise ValueError(f"average {self.average:g} takes no sample; the last epoch begins at {last}")
        return self

    @property
    def unreached(self) -> tuple[float, ...]:
        """The epochs of a decay in steps that training ends before."""
        return tuple(at for at in self.decay.at if at >= self.epochs) if isinstance(self.decay, Steps) else ()

    def rate_at(self, step: int, steps: int) -> float:
        """The learning rate of a step, counted from 0 over the whole training, with `steps` in an epoch."""
        passed = step / steps
        risen = min(1.0, (step + 1) / (self.warmup * steps)) if self.warmup else 1.0
        return self.rate * risen * self._decayed(passed)

    def _decayed(self, passed: float) -> float:
        if isinstance(self.decay, Steps):
            return self.decay.by ** sum(passed >= epoch for epoch in self.decay.at)
        return (1 + cos(pi * passed / self.epochs)) / 2 if self.decay == "cosine" else 1.0


def _ascends(numbers: Sequence[float]) -> bool:
    return all(low < high for low, high in zip(numbers, numbers[1:], strict=False))
