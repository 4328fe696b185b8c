"""The one training loop: a trainer brings an objective, the loop owns the rest.

All randomness is keyed by seed, epoch and step, so that a training that was killed at any moment goes on from
its checkpoint to bit-identical weights, on the same threads and kind of device.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Protocol

import torch

from hiercls.contracts.augmentation import augmented
from hiercls.contracts.averaging import Averaging
from hiercls.contracts.checkpoints import CHECKPOINT, Checkpoint, drop_unfinished, load_checkpoint, write_history
from hiercls.contracts.components import Task
from hiercls.contracts.context import Context
from hiercls.contracts.optimizers import load_optimizer, make_optimizer, optimizer_state
from hiercls.contracts.reproducible import reproducible
from hiercls.contracts.schedules import Schedule
from hiercls.words.errors import DataError, HierclsError

CHECKPOINT_SECONDS = 30.0
PROGRESS_SECONDS = 0.5
_ORDER, _STEP = 1, 2
_VALIDATION_BATCH = 1024


@dataclass(frozen=True)
class Moment:
    """Where in a training a loss is asked for.

    Attributes:
        epoch: counted from 0.
        step: counted from 0 over the whole training.
        steps: steps in one epoch.
        epochs: epochs in the whole training.
        generator: CPU randomness of this step alone, the same after a resume.
    """

    epoch: int
    step: int
    steps: int
    epochs: int
    generator: torch.Generator

    @property
    def passed(self) -> float:
        """The epochs gone before this step, with their fraction."""
        return self.step / self.steps


class Objective(Protocol):
    """What a training minimises, and what it must remember across a resume."""

    def loss(self, network: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, moment: Moment) -> torch.Tensor:
        """The scalar loss of one batch; the network is in train mode."""
        ...

    def state(self) -> Mapping[str, torch.Tensor]:
        """All that later losses depend on besides the network and the moment."""
        ...

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take back what `state` gave."""
        ...


class Stateless:
    """The base of objectives that remember nothing."""

    def state(self) -> Mapping[str, torch.Tensor]:
        return {}

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        if state:
            raise DataError(f"{type(self).__name__} keeps no state, yet a checkpoint holds {sorted(state)}")


def descend(
    network: torch.nn.Module, objective: Objective, task: Task, schedule: Schedule, context: Context
) -> torch.nn.Module:
    """Train a network in place and return it in eval mode.

    Starts from the given weights, or goes on from the checkpoint in `context.scratch`; where scratch is None
    nothing is written. `history.jsonl` there gets a row an epoch: epoch (from 1), loss (mean over examples),
    seconds, and accuracy on the held-out examples (null without any). Where the schedule averages, the last row's
    accuracy is that of the averaged weights: those that are returned.

    Raises:
        HierclsError: the loss or a weight is not finite; names epoch and step.
        DataError: there is nothing to train on, or the checkpoint belongs to another training.
    """
    if len(task.y) == 0:
        raise DataError("training: there are no training examples")
    network.to(context.device)
    with reproducible(context):
        _Training(network, objective, task, schedule, context).run()
    return network.eval()


@dataclass
class _Position:
    """How far a training has come: `step` of the whole is the next to do."""

    step: int = 0
    loss: float = 0.0
    seconds: float = 0.0
    history: list[Mapping[str, Any]] = field(default_factory=list)


class _Training:
    def __init__(
        self, network: torch.nn.Module, objective: Objective, task: Task, schedule: Schedule, context: Context
    ):
        self.network = network
        self.objective = objective
        self.task = task
        self.schedule = schedule
        self.context = context
        self.parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self.optimizer = make_optimizer(self.parameters, schedule)
        self.averaging = Averaging(network, schedule.average)
        self.steps = _steps(len(task.y), schedule.batch)
        self.position = _Position()
        self.saved_at = self.told_at = self.began_at = context.clock()
        self.began_step = 0

    def run(self) -> None:
        self._resume()
        total = self.steps * self.schedule.epochs
        while self.position.step < total:
            self._epoch(self.position.step // self.steps)
        self._tell(total)

    def _epoch(self, epoch: int) -> None:
        """One epoch, or what is left of it."""
        batches = self._batches(epoch)
        seconds, started = self.position.seconds, self.context.clock()
        self.network.train()
        for rows in batches[self.position.step % self.steps :]:
            self.position.loss += self._step(epoch, rows) * len(rows)
            self.position.step += 1
            now = self.context.clock()
            self.position.seconds = seconds + now - started
            self._tell_sometimes(now)
            if now - self.saved_at >= CHECKPOINT_SECONDS and self.position.step % self.steps:
                self._save()
        self._close(epoch, sum(map(len, batches)))

    def _batches(self, epoch: int) -> tuple[torch.Tensor, ...]:
        """The rows of every step of an epoch."""
        order = torch.randperm(len(self.task.y), generator=self.context.generator(_ORDER, epoch))
        return order.split(self.schedule.batch)[: self.steps]

    def _step(self, epoch: int, rows: torch.Tensor) -> float:
        step = self.position.step
        moment = Moment(epoch, step, self.steps, self.schedule.epochs, self.context.generator(_STEP, step))
        torch.manual_seed(moment.generator.initial_seed())  # for dropout and the like inside the network
        x = augmented(self.task.x[rows].to(self.context.device), self.schedule.augment, moment.generator)
        loss = self._loss(x, self.task.y[rows].to(self.context.device), moment)
        value = float(loss.detach())
        if not isfinite(value):
            raise _diverged("the loss", epoch, step % self.steps)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.schedule.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.schedule.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate_at(step, self.steps)
        self.optimizer.step()
        return value

    def _loss(self, x: torch.Tensor, y: torch.Tensor, moment: Moment) -> torch.Tensor:
        half = self.schedule.precision == "bf16"
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=half):
            return self.objective.loss(self.network, x, y, moment)

    def _close(self, epoch: int, examples: int) -> None:
        """Validate, write the epoch's row and begin the next with clean sums."""
        if not all(bool(parameter.isfinite().all()) for parameter in self.parameters):
            raise _diverged("a weight", epoch, self.steps - 1)
        self._average(epoch)
        row = {
            "epoch": epoch + 1,
            "loss": self.position.loss / examples,
            "seconds": round(self.position.seconds, 3),
            "accuracy": accuracy(self.network, self.task.held_out_x, self.task.held_out_y, self.context.device),
        }
        self.position = _Position(self.position.step, history=[*self.position.history, row])
        self._save()

    def _average(self, epoch: int) -> None:
        """Sample the weights; after the last epoch they become the mean of the samples."""
        self.averaging.add(epoch)
        if epoch + 1 == self.schedule.epochs:
            self.averaging.settle(self._inputs(epoch + 1))

    def _inputs(self, epoch: int) -> Iterator[torch.Tensor]:
        """The batches of an epoch without augmentation."""
        for rows in self._batches(epoch):
            yield self.task.x[rows].to(self.context.device)

    def _save(self) -> None:
        self.saved_at = self.context.clock()
        if self.context.scratch is None:
            return
        groups = {
            "network": self.network.state_dict(),
            "optimizer": optimizer_state(self.optimizer),
            "objective": self.objective.state(),
            "averaging": self.averaging.state(),
        }
        facts = {"training": self._identity(), **vars(self.position)}
        Checkpoint(groups, facts).save(self.context.scratch / CHECKPOINT)
        write_history(self.context.scratch, self.position.history)

    def _resume(self) -> None:
        if self.context.scratch is None:
            return
        drop_unfinished(self.context.scratch)
        path = self.context.scratch / CHECKPOINT
        found = load_checkpoint(path)
        if found is None:
            return
        facts = dict(found.facts)
        if facts.pop("training", None) != self._identity():
            raise DataError(f"{path}: a checkpoint of another training; remove it to train from the start")
        self.network.load_state_dict(found.groups["network"])
        load_optimizer(self.optimizer, found.groups.get("optimizer", {}))
        self.objective.load(found.groups.get("objective", {}))
        self.averaging.load(found.groups.get("averaging", {}))
        self.position = _Position(**facts)
        self.began_step = self.position.step
        write_history(self.context.scratch, self.position.history)

    def _identity(self) -> dict[str, Any]:
        """What a checkpoint must share with a training that goes on from it."""
        return {
            "schedule": self.schedule.model_dump(mode="json", exclude_defaults=True),
            "seed": self.context.seed,
            "threads": self.context.threads,
            "examples": len(self.task.y),
            "network": {name: list(tensor.shape) for name, tensor in self.network.state_dict().items()},
        }

    def _tell_sometimes(self, now: float) -> None:
        if now - self.told_at >= PROGRESS_SECONDS:
            self._tell(self.steps * self.schedule.epochs)
            self.told_at = now

    def _tell(self, total: int) -> None:
        """Report in epochs, with the running loss, the last accuracy and the seconds left."""
        position = self.position
        facts: dict[str, float | str] = {}
        done_here = position.step % self.steps
        if done_here:
            facts["loss"] = position.loss / (done_here * self.schedule.batch)
        elif position.history:
            facts["loss"] = position.history[-1]["loss"]
        if position.history and position.history[-1]["accuracy"] is not None:
            facts["accuracy"] = position.history[-1]["accuracy"]
        walked = position.step - self.began_step
        if walked:
            facts["eta"] = (self.context.clock() - self.began_at) * (total - position.step) / walked
        self.context.progress(position.step / self.steps, self.schedule.epochs, **facts)


def accuracy(network: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, device: str) -> float | None:
    """The share of examples whose largest output is theirs, in eval mode; None without examples."""
    if len(y) == 0:
        return None
    was_training = network.training
    network.eval()
    right = 0
    with torch.no_grad():
        for rows in torch.arange(len(y)).split(_VALIDATION_BATCH):
            found = network(x[rows].to(device)).argmax(dim=1).cpu()
            right += int((found == y[rows].cpu()).sum())
    network.train(was_training)
    return right / len(y)


def _steps(examples: int, batch: int) -> int:
    """Batches in an epoch. A last batch of one example is left out: batch norm has no variance of one."""
    full, rest = divmod(examples, batch)
    return max(1, full + (rest > 1))


def _diverged(what: str, epoch: int, step: int) -> HierclsError:
    return HierclsError(
        f"training: {what} is not finite at epoch {epoch + 1}, step {step + 1}; lower the rate or clip the gradient"
    )
