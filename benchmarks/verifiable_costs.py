"""What trainings that were not run would take, from the histories of those that were."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """What the cost of an epoch depends on, beside the number of examples.

    Attributes:
        network: architecture and input shape.
        trainer: the class of the trainer.
    """

    network: str
    trainer: str


@dataclass(frozen=True)
class Timing:
    """Epochs that were measured. `work` is examples times multiplications of a forward pass, of one epoch."""

    kind: Kind
    work: float
    epochs: int
    seconds: float


@dataclass(frozen=True)
class Work:
    """A training that is not finished: the epochs that are left of it."""

    kind: Kind
    work: float
    epochs: int


@dataclass(frozen=True)
class Estimate:
    """Hours, and how far the timings are from what they stand for.

    Attributes:
        basis: 0 the same kind of network and trainer; 1 the same trainer on another network; 2 another trainer.
    """

    hours: float
    basis: int

    def __add__(self, other: "Estimate") -> "Estimate":
        return Estimate(self.hours + other.hours, max(self.basis, other.basis))


NOTHING = Estimate(0.0, 0)


def rates(timings: Iterable[Timing]) -> Mapping[Kind, float]:
    """Seconds for a unit of work of each kind: all its seconds over all its work."""
    seconds: dict[Kind, float] = {}
    work: dict[Kind, float] = {}
    for each in timings:
        seconds[each.kind] = seconds.get(each.kind, 0.0) + each.seconds
        work[each.kind] = work.get(each.kind, 0.0) + each.work * each.epochs
    return {kind: seconds[kind] / work[kind] for kind in seconds}


def estimate(left: Iterable[Work], known: Mapping[Kind, float]) -> Estimate | None:
    """The hours of several trainings; None where nothing at all was timed.

    A kind that was not timed is taken at the slowest rate of its trainer on other networks, else at the slowest of
    all, scaled by examples and multiplications.
    """
    total = NOTHING
    for each in left:
        if not known:
            return None
        basis, rate = _rate(each.kind, known)
        total = total + Estimate(rate * each.work * each.epochs / 3600, basis)
    return total


def _rate(kind: Kind, known: Mapping[Kind, float]) -> tuple[int, float]:
    if kind in known:
        return 0, known[kind]
    same_trainer = [rate for other, rate in known.items() if other.trainer == kind.trainer]
    return (1, max(same_trainer)) if same_trainer else (2, max(known.values()))
