"""Targeted radii at the budgets that the margins of bounds point to."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch

from hiercls.contracts.context import Context
from hiercls.contracts.frozen import frozen
from hiercls.contracts.pointwise import TILE, Pointwise, in_tiles
from hiercls.values.heads import Head
from hiercls.values.perturbations import inside_box
from hiercls.words.norms import LINF
from hiercls.words.threats import EVERYWHERE
from hiercls_plugins.bounds.agreement import (
    random_points,
    require_agreement,
    require_agreement_where_claimed,
    require_rows_apart,
)
from hiercls_plugins.bounds.bounded import Bounded
from hiercls_plugins.bounds.boxes import Box, enclosing
from hiercls_plugins.bounds.places import Places
from hiercls_plugins.bounds.precision import FullPrecision
from hiercls_plugins.bounds.rounding import FLOAT32
from hiercls_plugins.bounds.search import Search, largest_positive
from hiercls_plugins.bounds.traced import in_float32, require_float32
from hiercls_plugins.bounds.trial import require_plain_trace


class BoundProver(Pointwise):
    """Decides in float32, and bounds a float64 copy of the same weights, traced once.

    What decides is the traced list of operations itself; the network that was given must agree with it.

    Attributes:
        falling: whether its margins fall as boxes grow.
    """

    norm = LINF
    falling: ClassVar[bool]

    def __init__(
        self, network: torch.nn.Module, heads: Sequence[Head], view: str, context: Context, search: Search
    ) -> None:
        super().__init__(FullPrecision(network), heads, view, context.threat.domain, context)
        require_float32(network)
        self.search = search
        self._tried: set[torch.Size] = set()
        self.bounded = Bounded(frozen(network, context.device).double(), FLOAT32)
        self.given, self.network = self.network, FullPrecision(in_float32(self.bounded.network, self.bounded.graph))

    @abstractmethod
    def margins(self, box: Box, head: Head) -> torch.Tensor:
        """By how much each child is excluded over a box, (N, children); positive is a proof."""

    def radii(self, network: torch.nn.Module, head: Head, x: torch.Tensor) -> torch.Tensor:
        return self.all_radii(head, x, torch.arange(len(x)))

    @torch.no_grad()
    def all_radii(self, head: Head, x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """The radii of any number of inputs; in a pass an input whose gap is closed makes room for the next one."""
        self._try(x)
        inside = inside_box(x, self.domain)

        def margins(rows: torch.Tensor, budgets: torch.Tensor) -> torch.Tensor:
            box = enclosing(inside[rows.to(x.device)], budgets.to(x.device), self.domain)
            return self.margins(box, head).cpu()

        places = Places(index % TILE, TILE)
        proved = largest_positive(margins, places, len(head.children), self.search, self.falling)
        claimed = (inside == x).flatten(1).all(dim=1).cpu()
        found = torch.where(claimed[:, None], proved, 0.0)
        self._require_agreement(inside, index, (found > 0).any(dim=1))
        return found

    def _require_agreement(self, x: torch.Tensor, index: torch.Tensor, claimed: torch.Tensor) -> None:
        def outputs_and_bounds(tile: torch.Tensor) -> torch.Tensor:
            box = self._at(tile)
            return torch.stack([self.given(tile).double(), box.centre, box.radius], dim=1).cpu()

        logits, centre, radius = in_tiles(outputs_and_bounds, x, index).unbind(dim=1)
        require_agreement_where_claimed(logits, Box(centre, radius), claimed)

    def _at(self, points: torch.Tensor) -> Box:
        """Bounds of the outputs at points themselves."""
        zeros = torch.zeros(len(points), dtype=torch.float64, device=points.device)
        return self.bounded.outputs(enclosing(points, zeros, EVERYWHERE))

    def _try(self, x: torch.Tensor) -> None:
        """Refuse, before the first claim on inputs of a shape, a network whose bounds are not its own."""
        shape, given = x.shape[1:], self.given
        if shape in self._tried:
            return
        assert isinstance(given, FullPrecision)
        require_plain_trace(self.bounded.network, self.bounded.graph, shape, given.network)
        points = random_points(x.new_empty(TILE, *shape), self.domain)

        def bounds(budgets: torch.Tensor) -> Box:
            return self.bounded.outputs(enclosing(points, budgets, EVERYWHERE))

        require_agreement(given, self._at(points), points)
        require_rows_apart(bounds, points)
        self._tried.add(shape)
