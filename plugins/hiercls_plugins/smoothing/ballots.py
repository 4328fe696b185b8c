"""What is counted of the logits of draws: one vote a draw, or the wins of children over each other."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch

from hiercls.values.heads import Head


class Ballot(Protocol):
    """A way to count draws for one decision; equal ballots count alike.

    Attributes:
        cells: how many counts it makes.
    """

    @property
    def cells(self) -> int: ...

    def tally(self, logits: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """The counts of some inputs.

        Args:
            logits: (N, draws, outputs of the network).
            valid: (N, draws) bool, the draws that count.

        Returns:
            (N, cells) int64.
        """
        ...


@dataclass(frozen=True)
class Plurality:
    """The draws that each child wins, and last those without a finite answer: K + 1 cells, summing to the draws."""

    head: Head

    @cached_property
    def cells(self) -> int:
        return len(self.head.children) + 1

    def tally(self, logits: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        rows = logits[:, :, list(self.head.allowed)]
        child = torch.tensor(self.head.child_of, device=logits.device)[rows.argmax(dim=2)]
        child = torch.where(rows.isfinite().all(dim=2), child, self.cells - 1)
        counts = torch.zeros(len(logits), self.cells, dtype=torch.int64, device=logits.device)
        return counts.scatter_add_(1, child, valid.long())


@dataclass(frozen=True)
class Wins:
    """The draws on which one child beats each other; ties go to the lower child, lost draws to no child. K cells."""

    head: Head
    chosen: int

    @cached_property
    def cells(self) -> int:
        return len(self.head.children)

    def tally(self, logits: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        scores, counted = _scores(self.head, logits, valid)
        own = scores[:, :, self.chosen, None]
        higher = torch.arange(self.cells, device=logits.device) > self.chosen
        beaten = (own > scores) | ((own == scores) & higher)
        return (beaten & counted[:, :, None]).sum(dim=1)


@dataclass(frozen=True)
class Tournament:
    """The wins of every child over every other, K rows of `Wins` in a line."""

    head: Head

    @cached_property
    def cells(self) -> int:
        return len(self.head.children) ** 2

    def tally(self, logits: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        children = range(len(self.head.children))
        return torch.cat([Wins(self.head, child).tally(logits, valid) for child in children], dim=1)


def _scores(head: Head, logits: torch.Tensor, valid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, draws, K) the largest output of each child, and (N, draws) which draws are counted and finite."""
    finite = logits[:, :, list(head.allowed)].isfinite().all(dim=2)
    scores = torch.stack([logits[:, :, list(group)].amax(dim=2) for group in head.outputs], dim=2)
    return scores, finite & valid
