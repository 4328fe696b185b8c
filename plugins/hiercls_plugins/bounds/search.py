"""The largest tested budgets at which a question is answered yes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Search:
    """Where budgets are tested.

    Attributes:
        smallest: smaller radii are reported as 0.
        largest: no larger radius is looked for.
        precision: how far, relatively, a reported budget may lie below one that failed.
        asked: budgets that are tested before the search, so that an answer at one of them is exact.
    """

    smallest: float
    largest: float
    precision: float
    asked: tuple[float, ...] = ()

    @property
    def first(self) -> Sequence[float]:
        inside = [budget for budget in self.asked if self.smallest < budget < self.largest]
        return [self.smallest, *sorted(inside), self.largest]


Answers = Callable[[torch.Tensor], torch.Tensor]
"""From budgets (count,), float64, to one answer an input and question, (count, questions)."""


def largest_budgets(holds: Answers, count: int, search: Search) -> torch.Tensor:
    """For each input and each question, the largest budget that was tested and held, by bisection.

    Every budget of `search.first` is tested for every input: an answer may be yes again beyond a no.

    Args:
        holds: bool.

    Returns:
        (count, questions) float64; 0 where the smallest budget failed.
    """

    def margins(budgets: torch.Tensor) -> torch.Tensor:
        return torch.where(holds(budgets), torch.inf, -torch.inf).double()

    return _searched(margins, count, search, search.first)


def largest_positive(margins: Answers, count: int, search: Search, falling: bool = True) -> torch.Tensor:
    """For each input and each question, the largest budget that was tested with a positive margin.

    Margins say where to look next, so that half of the tests of a bisection are enough.

    Args:
        margins: float64; positive where the answer is yes, infinite where only the sign is known.
        falling: whether margins fall with the budget; then an asked budget beyond one that failed is not tested.

    Returns:
        (count, questions) float64; 0 where the smallest budget failed.
    """
    return _searched(margins, count, search, search.first[:1] if falling else search.first)


def _searched(margins: Answers, count: int, search: Search, by_all: Sequence[float]) -> torch.Tensor:
    """Test some budgets for all inputs, then what is open between yes and no.

    One budget an input and pass, chosen for its widest gap, answers every question of that input. Only a tested
    budget is ever returned, so that no claim rests on margins that fall. A row depends on its own margins alone:
    passes made for other rows repeat a budget that it has seen.
    """
    gaps = _Gaps(search)
    for budget in by_all:
        gaps.note(budgets := torch.full((count,), budget, dtype=torch.float64), margins(budgets))
    while bool((open_ := gaps.widths().amax(dim=1) > search.precision).any()):
        gaps.note(budgets := torch.where(open_, gaps.next(), search.smallest), margins(budgets))
    return gaps.proved


class _Gaps:
    """Between the largest budget that held and the smallest that failed, for each input and question."""

    def __init__(self, search: Search):
        self.search = search
        self.proved = torch.zeros(1, 1, dtype=torch.float64)
        self.failed = torch.full((1, 1), torch.inf, dtype=torch.float64)
        self._above = self._below = torch.full((1, 1), torch.nan, dtype=torch.float64)
        self._rose = torch.zeros(1, 1, dtype=torch.bool)
        self._guesses = 0

    def note(self, budgets: torch.Tensor, margins: torch.Tensor) -> None:
        """Take in one test; a margin that is not a number has failed.

        When one end moves twice in turn, the margin at the other counts half (the Illinois rule): otherwise a curved
        margin would move one end only.
        """
        column, held = budgets[:, None], margins > 0
        rises, falls = held & (column > self.proved), ~held & (column < self.failed)
        self._below = torch.where(rises & self._rose, self._below / 2, self._below)
        self._above = torch.where(falls & ~self._rose, self._above / 2, self._above)
        self.proved, self._above = torch.where(rises, column, self.proved), torch.where(rises, margins, self._above)
        self.failed, self._below = torch.where(falls, column, self.failed), torch.where(falls, margins, self._below)
        self._rose = torch.where(rises | falls, rises, self._rose)

    def widths(self) -> torch.Tensor:
        """The gaps in logarithms, (count, questions); infinite while a budget of `search.first` lies inside."""
        low, high = self._ends()
        return torch.where(self._rungs().isfinite(), torch.inf, (high / low).log())

    def next(self) -> torch.Tensor:
        """The budget to test for each input's widest gap, (count,)."""
        self._guesses += 1
        place = self.widths().argmax(dim=1, keepdim=True)
        low, high, above, below, rung = (
            each.expand_as(self.proved).gather(1, place).squeeze(1)
            for each in (*self._ends(), self._above, self._below, self._rungs())
        )
        guess = self._guess(low, high, above / (above - below))
        return torch.where(rung.isfinite(), rung, guess)

    def _guess(self, low: torch.Tensor, high: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
        """Where a margin may turn, if it falls evenly.

        A little to the side where more is open, so that a good guess closes both sides in two tests; midway, in
        logarithms, where the margins say nothing, and for good after PATIENCE tests.
        """
        start, end = low.log(), high.log()
        turn = (low + (high - low) * share).log()
        aside = ASIDE * self.search.precision
        turn = turn + torch.where(turn - start > end - turn, -aside, aside)
        edge = ((end - start) / 4).clamp_max(aside)
        turn = torch.maximum(torch.minimum(turn, end - edge), start + edge)
        told = turn.isfinite() & (self._guesses <= PATIENCE)
        return torch.where(told, turn, (start + end) / 2).exp()

    def _rungs(self) -> torch.Tensor:
        """The smallest budget of `search.first` in each gap, or infinity."""
        rungs = torch.tensor(self.search.first, dtype=torch.float64)
        inside = (self.proved[:, :, None] < rungs) & (rungs < self.failed[:, :, None])
        return torch.where(inside, rungs, torch.inf).amin(dim=2)

    def _ends(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.proved.clamp_min(self.search.smallest), self.failed.clamp_max(self.search.largest)


ASIDE = 0.45
"""Of the precision: two tests this far on either side of a turning point leave less than the precision open."""

PATIENCE = 12
"""Tests before plain bisection, which always ends."""
