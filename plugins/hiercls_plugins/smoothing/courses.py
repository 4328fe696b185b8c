"""From the counts of one decision to its radii: after a fixed number of draws, or at looks until it is decided.

What stands here works on counts alone. A course is what one decision of one input asks of its draws; it sees
the counts among exactly the first looks[k] draws, and nothing is computed from a stopped count but what its
mode allows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from hiercls_plugins.smoothing import statistics
from hiercls_plugins.smoothing.grid import Grid, grid
from hiercls_plugins.smoothing.pairwise import Pairwise, pairwise
from hiercls_plugins.smoothing.sequential import Decision, Mode, spending
from hiercls_plugins.smoothing.sequential import looks as increasing_looks
from hiercls_plugins.smoothing.tolerance import Tolerance, within
from hiercls_plugins.smoothing.two_sided import TwoSided, two_sided_within

FIRST_LOOK = 100

Column = Literal["one-sided", "two-sided"]


@dataclass(frozen=True)
class Asked:
    """What is to be certified of every decision of one prover.

    Attributes:
        draws: the most draws of an input.
        block: a multiple of it is drawn before every look but the last.
        goals: the radii of a grid, increasing; empty for none.
        tolerance: of the radius; None for none. With neither, all draws are drawn.
        pairwise: whether counts are wins over opponents.
        slack: total variation between the draws and normal ones.
    """

    draws: int
    block: int
    sigma: float
    alpha: float
    column: Column
    goals: tuple[float, ...]
    tolerance: float | None
    pairwise: bool
    slack: float

    @property
    def fixed(self) -> bool:
        return not self.goals and self.tolerance is None

    def looks(self) -> tuple[int, ...]:
        return (self.draws,) if self.fixed else increasing_looks(self.draws, FIRST_LOOK, step=self.block)

    def course(self, chosen: int, children: int) -> "Course":
        """The course of one decision.

        Args:
            chosen: the claimed child, among the children that are allowed.
            children: how many are allowed, at least 2.
        """
        if self.fixed:
            return Whole(self, chosen)
        return Watched(self, chosen, children)

    def mode(self, children: int) -> Mode:
        if self.pairwise:
            return Pairwise(self._single(self.alpha), self._single(self.alpha / (children - 1)))
        if self.column == "two-sided":
            return two_sided_within(self.looks(), self.sigma, self.alpha, self.slack, self.goals, self.tolerance or 0.0)
        return self._single(self.alpha)

    def _single(self, alpha: float) -> Grid | Tolerance:
        """The mode of one probability."""
        if self.goals:
            return grid(self.goals, self.sigma, self.looks(), alpha, self.slack)
        assert self.tolerance is not None
        return within(self.tolerance, self.sigma, self.looks(), alpha, self.slack)


class Looking(Protocol):
    """What takes the counts of one decision of one input.

    Attributes:
        done: whether it has seen enough.
        counts: those at its last look.
    """

    @property
    def done(self) -> bool: ...

    @property
    def counts(self) -> np.ndarray: ...

    def look(self, counts: np.ndarray) -> None:
        """Take the counts at the next look; who has seen enough is not told any more."""
        ...


class Course(Looking, Protocol):
    """One decision of one input on its way to radii."""

    def proved(self) -> tuple[float, np.ndarray, Mapping[str, Any]]:
        """The own radius, the targeted ones of the allowed children (K,), and the evidence."""
        ...


class Tally:
    """Keeps the counts of one look."""

    def __init__(self) -> None:
        self.done = False

    def look(self, counts: np.ndarray) -> None:
        self.counts = counts
        self.done = True


class Whole(Tally):
    """All draws, then one bound (Cohen et al. 2019)."""

    def __init__(self, asked: Asked, chosen: int):
        super().__init__()
        self.asked, self.chosen = asked, chosen

    def proved(self) -> tuple[float, np.ndarray, Mapping[str, Any]]:
        asked = self.asked
        if asked.pairwise:
            found = pairwise(self.counts, self.chosen, asked.draws, asked.sigma, asked.alpha, asked.slack)
            return found.own, found.targeted, {"draws": asked.draws, "lower": found.lower}
        columns = {
            name: bounds(self.counts, self.chosen, asked.sigma, asked.alpha, asked.slack)
            for name, bounds in statistics.COLUMNS.items()
        }
        found = columns[asked.column]
        own = {name: column.own for name, column in columns.items()}
        return found.own, found.targeted, {"draws": asked.draws, "lower": found.lower, "own": own}


class Watched:
    """Looks until a mode has decided; what the mode read at each look is the evidence."""

    def __init__(self, asked: Asked, chosen: int, children: int):
        self.asked, self.chosen = asked, chosen
        self.mode = asked.mode(children)
        self.opponents = children - 1
        several = isinstance(self.mode, Pairwise | TwoSided)
        self.state = self.mode.start(1, self.opponents) if several else self.mode.start(1)
        self.seen: list[np.ndarray] = []
        self.decision = Decision.GO_ON

    @property
    def done(self) -> bool:
        return self.decision != Decision.GO_ON

    def look(self, counts: np.ndarray) -> None:
        self.counts = counts
        picked = self._picked(counts)
        decisions, self.state = self.mode.look(len(self.seen), picked[None], self.state)
        self.seen.append(picked)
        self.decision = Decision(int(decisions[0]))

    def proved(self) -> tuple[float, np.ndarray, Mapping[str, Any]]:
        own = float(self.mode.radii(self.state)[0])
        others = np.full(self.opponents, own)
        if isinstance(self.mode, Pairwise | TwoSided):
            others = self.mode.targeted_radii(self.state)[0]
        return own, np.insert(others, self.chosen, 0.0), self._evidence()

    def _picked(self, counts: np.ndarray) -> np.ndarray:
        """What the mode reads: wins over opponents, the chosen child's votes and then all others, or those alone."""
        if self.asked.pairwise:
            return np.delete(counts, self.chosen)
        if isinstance(self.mode, TwoSided):
            return np.concatenate([counts[self.chosen, None], np.delete(counts, self.chosen)])
        return counts[self.chosen]

    def _evidence(self) -> Mapping[str, Any]:
        asked, at = self.asked, self.mode.looks
        rule = {"grid": list(asked.goals)} if asked.goals else {"tolerance": asked.tolerance}
        return {
            "draws": at[len(self.seen) - 1],
            "stop": {**rule, "reason": self.decision.name.lower().replace("_", " ")},
            "looks": list(at),
            "weights": list(spending(len(at))),
            "seen": [picked.tolist() for picked in self.seen],
        }
