"""Optimisers made from a schedule, and their state as named tensors."""

from collections.abc import Mapping

import torch

from hiercls.contracts.schedules import Schedule
from hiercls.words.errors import DataError


def make_optimizer(parameters: list[torch.nn.Parameter], schedule: Schedule) -> torch.optim.Optimizer:
    """The optimiser that a schedule names; its rate is set anew at every step.

    Raises:
        DataError: there is nothing to train.
    """
    if not parameters:
        raise DataError("training: the network has no parameter to train")
    rate, decay = schedule.rate, schedule.weight_decay
    if schedule.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, lr=rate, momentum=schedule.momentum, nesterov=schedule.nesterov, weight_decay=decay
        )
    kind = torch.optim.AdamW if schedule.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, lr=rate, weight_decay=decay)


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The optimiser's tensors by `parameter.name`; rates come from the schedule and need no storing."""
    return {
        f"{parameter}.{name}": value
        for parameter, entries in optimizer.state_dict()["state"].items()
        for name, value in entries.items()
        if isinstance(value, torch.Tensor)
    }


def load_optimizer(optimizer: torch.optim.Optimizer, stored: Mapping[str, torch.Tensor]) -> None:
    """Take back what `optimizer_state` gave."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in stored.items():
        parameter, name = key.split(".", 1)
        state.setdefault(int(parameter), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
