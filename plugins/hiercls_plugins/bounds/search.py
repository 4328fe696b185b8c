"""The largest tested budgets at which a question is answered yes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from hiercls_plugins.bounds.places import Places


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
    def inside(self) -> Sequence[float]:
        """The asked budgets between the smallest and the largest, in order."""
        return sorted(budget for budget in self.asked if self.smallest < budget < self.largest)

    @property
    def first(self) -> Sequence[float]:
        return [self.smallest, *self.inside, self.largest]


Answers = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From a row for each place, (places,) int64, and their budgets, float64, to (places, questions)."""


def largest_budgets(holds: Answers, places: Places, questions: int, search: Search) -> torch.Tensor:
    """For each row and each question, the largest budget that was tested and held, by bisection.

    Every budget of `search.first` is tested for every row: an answer may be yes again beyond a no.

    Args:
        holds: bool.

    Returns:
        (rows, questions) float64; 0 where the smallest budget failed.
    """

    def margins(rows: torch.Tensor, budgets: torch.Tensor) -> torch.Tensor:
        return torch.where(holds(rows, budgets), torch.inf, -torch.inf).double()

    return _searched(margins, places, _Gaps(search, search.first, len(places.of_rows), questions))


def largest_positive(
    margins: Answers, places: Places, questions: int, search: Search, falling: bool = True
) -> torch.Tensor:
    """For each row and each question, the largest budget that was tested with a positive margin.

    Margins say where to look next, so that fewer tests than those of a bisection are enough.

    Args:
        margins: float64; positive where the answer is yes, infinite where only the sign is known.
        falling: whether margins fall with the budget; then no budget beyond one that failed is tested.

    Returns:
        (rows, questions) float64; 0 where the smallest budget failed.
    """
    by_all = search.first[:1] if falling else search.first
    return _searched(margins, places, _Gaps(search, by_all, len(places.of_rows), questions))


def _searched(margins: Answers, places: Places, gaps: "_Gaps") -> torch.Tensor:
    """Test what is open, one budget a row and pass; a settled row leaves its place to the next one.

    Only a tested budget is ever returned, so that no claim rests on margins that fall.
    """
    while bool((open_ := gaps.open()).any()):
        rows, asked = places.filled(open_)
        budgets = torch.where(asked, gaps.next(rows), gaps.search.smallest)
        gaps.note(rows[asked], budgets[asked], margins(rows, budgets)[asked])
    return gaps.proved


class _Gaps:
    """Between the largest budget that held and the smallest that failed, for each row and question.

    Attributes:
        by_all: budgets that every row is tested at first, in this order.
        tests: how many each row has had, (rows,).
        proved: (rows, questions), 0 where none held yet.
        failed: (rows, questions), infinite where none failed yet.
    """

    def __init__(self, search: Search, by_all: Sequence[float], rows: int, questions: int):
        self.search = search
        self.by_all = torch.tensor(by_all, dtype=torch.float64)
        self.tests = torch.zeros(rows, dtype=torch.int64)
        self.proved = torch.zeros(rows, questions, dtype=torch.float64)
        self.failed = torch.full_like(self.proved, torch.inf)
        self._above, self._below = (torch.full_like(self.proved, torch.nan) for _ in range(2))
        self._rose = torch.zeros_like(self.proved, dtype=torch.bool)

    def open(self) -> torch.Tensor:
        """Whether a row needs another test, (rows,) bool."""
        every = slice(None)
        return (self.tests < len(self.by_all)) | (self._widths(every).amax(dim=1) > self.search.precision)

    def note(self, rows: torch.Tensor, budgets: torch.Tensor, margins: torch.Tensor) -> None:
        """Take in one test of some rows; a margin that is not a number has failed.

        When one end moves twice in turn, the margin at the other counts half (the Illinois rule): otherwise a curved
        margin would move one end only.
        """
        column, held = budgets[:, None], margins > 0
        proved, failed, above, below = (s[rows] for s in (self.proved, self.failed, self._above, self._below))
        rises, falls, rose = held & (column > proved), ~held & (column < failed), self._rose[rows]
        below = torch.where(rises & rose, below / 2, below)
        above = torch.where(falls & ~rose, above / 2, above)
        self.proved[rows], self._above[rows] = torch.where(rises, column, proved), torch.where(rises, margins, above)
        self.failed[rows], self._below[rows] = torch.where(falls, column, failed), torch.where(falls, margins, below)
        self._rose[rows] = torch.where(rises | falls, rises, rose)
        self.tests[rows] += 1

    def next(self, rows: torch.Tensor) -> torch.Tensor:
        """The budget to test for each row's widest gap, (places,)."""
        tests = self.tests[rows]
        wanted = self._inside(rows, tests)
        first = self.by_all[tests.clamp_max(len(self.by_all) - 1)]
        return torch.where(tests < len(self.by_all), first, wanted)

    def _inside(self, rows: torch.Tensor, tests: torch.Tensor) -> torch.Tensor:
        place = self._widths(rows).argmax(dim=1, keepdim=True)
        low, high, above, below, rung = (
            each.gather(1, place).squeeze(1)
            for each in (*self._ends(rows), self._above[rows], self._below[rows], self._rungs(rows))
        )
        guess = self._guess(low, high, above / (above - below), tests)
        return torch.where(rung.isfinite(), torch.minimum(rung, self._grown(low)), guess)

    def _guess(self, low: torch.Tensor, high: torch.Tensor, share: torch.Tensor, tests: torch.Tensor) -> torch.Tensor:
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
        told = turn.isfinite() & (tests < PATIENCE)
        return torch.where(told, turn, (start + end) / 2).exp()

    def _grown(self, low: torch.Tensor) -> torch.Tensor:
        """Where to go on above the asked budgets, in steps that grow: most radii turn not far beyond them."""
        if not self.search.inside:
            return torch.full_like(low, torch.inf)
        top = self.search.inside[-1]
        return torch.where(low < top, torch.inf, GROWTH * low * (low / top) ** 2)

    def _widths(self, rows: torch.Tensor | slice) -> torch.Tensor:
        """The gaps in logarithms, (places, questions); infinite while a budget of `search.first` lies inside."""
        low, high = self._ends(rows)
        return torch.where(self._rungs(rows).isfinite(), torch.inf, (high / low).log())

    def _rungs(self, rows: torch.Tensor | slice) -> torch.Tensor:
        """The smallest budget of `search.first` in each gap, or infinity."""
        rungs = torch.tensor(self.search.first, dtype=torch.float64)
        inside = (self.proved[rows][:, :, None] < rungs) & (rungs < self.failed[rows][:, :, None])
        return torch.where(inside, rungs, torch.inf).amin(dim=2)

    def _ends(self, rows: torch.Tensor | slice) -> tuple[torch.Tensor, torch.Tensor]:
        low, high = self.proved[rows], self.failed[rows]
        return low.clamp_min(self.search.smallest), high.clamp_max(self.search.largest)


GROWTH = 1.4
"""The first step above the largest asked budget."""

ASIDE = 0.45
"""Of the precision: two tests this far on either side of a turning point leave less than the precision open."""

PATIENCE = 14
"""Tests of a row before plain bisection, which always ends."""
