"""Passes of one fixed shape, in which one row makes room for the next."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Places:
    """Where rows stand in a pass, whose shape never changes: what a row is told then depends on itself alone.

    Attributes:
        of_rows: (rows,) int64, the place of each.
        count: of places in a pass.
    """

    of_rows: torch.Tensor
    count: int

    @classmethod
    def own(cls, count: int) -> "Places":
        """A place for each of so many rows."""
        return cls(torch.arange(count), count)

    def filled(self, open_: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The first open row of each place, (count,) int64, and whether there is one; where not, any of its rows.

        Args:
            open_: (rows,) bool.
        """
        rows = torch.arange(len(self.of_rows))
        any_, waiting = torch.zeros(self.count, dtype=torch.int64), torch.full((self.count,), len(rows))
        any_[self.of_rows.flip(0)] = rows.flip(0)
        waiting.scatter_reduce_(0, self.of_rows[open_], rows[open_], "amin")
        found = waiting < len(rows)
        return torch.where(found, waiting, any_), found
