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


def largest_budgets(holds: Callable[[torch.Tensor], torch.Tensor], count: int, search: Search) -> torch.Tensor:
    """For each input and each question, the largest budget that was tested and held.

    Bisection between the largest budget that held and the smallest that failed, in logarithms, for all inputs
    at once: one budget an input and pass, midway in its widest gap, answers every question of that input.
    Only a tested budget is ever returned, so that nothing rests on monotonicity. A row depends on its own
    answers alone: passes made for other rows repeat a budget that it has seen.

    Args:
        holds: from budgets (count,), float64, to (count, questions) bool.

    Returns:
        (count, questions) float64; 0 where the smallest budget failed.
    """
    tried = holds(torch.full((count,), search.smallest, dtype=torch.float64))
    proved = torch.where(tried, search.smallest, 0.0).double()
    failed = torch.where(tried, torch.inf, search.smallest).double()

    def test(budgets: torch.Tensor) -> None:
        nonlocal proved, failed
        answer = holds(budgets)
        column = budgets[:, None]
        proved = torch.where(answer, torch.maximum(proved, column), proved)
        failed = torch.where(answer, failed, torch.minimum(failed, column))

    for budget in search.first[1:]:
        test(torch.full((count,), budget, dtype=torch.float64))
    while True:
        low, high = proved.clamp_min(search.smallest).log(), failed.clamp_max(search.largest).log()
        gap, widest = (high - low).max(dim=1)
        open_ = gap > search.precision
        if not bool(open_.any()):
            return proved
        middle = (low + high).gather(1, widest[:, None]).squeeze(1).div(2).exp()
        test(torch.where(open_, middle, search.smallest))
