"""The surroundings in which a training gives the same numbers every time."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils import deterministic

from hiercls.contracts.context import Context


@contextmanager
def reproducible(context: Context) -> Iterator[None]:
    """The job's own threads, deterministic operations, and a global random state that is left as it was."""
    threads = torch.get_num_threads()
    strict, warns = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    filled = deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    devices = [torch.device(context.device)] if context.device.startswith("cuda") else []
    with torch.random.fork_rng(devices=devices):
        torch.set_num_threads(context.threads)
        torch.use_deterministic_algorithms(True, warn_only=True)
        deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(strict, warn_only=warns)
            deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]
