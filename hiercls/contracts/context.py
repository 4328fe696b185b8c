"""What a method is told about the run it works in; nothing reads globals."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hiercls.words.threats import Threat

if TYPE_CHECKING:
    import torch


class Progress(Protocol):
    """Hears how far a piece of work has come; a text called `note` is a sentence about it instead."""

    def __call__(self, done: float, total: float, **facts: float | str) -> None: ...


def silent(done: float, total: float, **facts: float | str) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class Context:
    """The run around a method.

    Attributes:
        seed: the run's seed; all randomness is keyed by it.
        threat: the adversary of the run.
        device: a torch device string.
        threads: torch threads of a training job.
        alpha: the failure probability of one random row.
        batch: how many inputs a prover may have in flight; it changes no result.
        scratch: a folder of the job's own, for checkpoints; None keeps none.
        clock: seconds, monotonic.
        progress: told now and then how far the work is.
    """

    seed: int = 0
    threat: Threat = field(default_factory=Threat)
    device: str = "cpu"
    threads: int = 1
    alpha: float = 0.001
    batch: int = 4096
    scratch: Path | None = None
    clock: Callable[[], float] = time.monotonic
    progress: Progress = silent

    def generator(self, *key: int) -> "torch.Generator":
        """A fresh CPU generator named by the seed and `key`, the same on every call."""
        import numpy as np
        import torch

        from hiercls.values.draws import Purpose

        words = np.random.SeedSequence(self.seed, spawn_key=(Purpose.TRAIN.value, *key))
        return torch.Generator().manual_seed(int(words.generate_state(1, np.uint64)[0] >> 1))
