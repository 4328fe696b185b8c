"""Look and retire: many inputs in flight, each drawn for until it is decided, then replaced by the next."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from hiercls.contracts.provers import Claim
from hiercls.values.heads import Head
from hiercls_plugins.smoothing.ballots import Ballot
from hiercls_plugins.smoothing.courses import Looking
from hiercls_plugins.smoothing.votes import Booth

T = TypeVar("T", bound=Looking)


@dataclass(frozen=True)
class Flight(Generic[T]):
    """One input on its way: its decisions share all draws, each sees exactly the first of them up to its look.

    Attributes:
        claim: what is asked about it.
        number: its place among what the caller asks.
        looks: draws at each look.
        courses: what each decision makes of its counts.
        ballots: what is counted for each decision.
    """

    claim: Claim
    number: int
    looks: Sequence[int]
    courses: Mapping[Head, T]
    ballots: Mapping[Head, Ballot]

    def landed(self) -> bool:
        return all(course.done for course in self.courses.values())

    def look(self, counts: Mapping[Ballot, np.ndarray]) -> None:
        for head, course in self.courses.items():
            if not course.done:
                course.look(counts[self.ballots[head]])


def landings(flights: Iterable[Flight[T]], booth: Booth) -> Iterator[Flight[T]]:
    """Every flight when all its decisions are made; no more are pulled ahead than the booth has seats."""
    waiting = iter(flights)
    free = list(range(booth.seats))[::-1]
    seated: dict[int, Flight[T]] = {}
    looked: dict[int, int] = {}
    while True:
        while free and (flight := next(waiting, None)) is not None:
            if flight.landed():
                yield flight
                continue
            seat = free.pop()
            seated[seat], looked[seat] = flight, 0
            _ask(booth, seat, flight, 0)
        if not seated:
            return
        for seat, counts in booth.ready().items():
            flight = seated[seat]
            flight.look(counts)
            if flight.landed():
                del seated[seat]
                free.append(seat)
                yield flight
            else:
                looked[seat] += 1
                _ask(booth, seat, flight, looked[seat])


def _ask(booth: Booth, seat: int, flight: Flight, at: int) -> None:
    start = flight.looks[at - 1] if at else 0
    booth.ask(seat, flight.claim.inputs, tuple(dict.fromkeys(flight.ballots.values())), start, flight.looks[at])
