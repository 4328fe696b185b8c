"""Targeted radii by bisection over the bounds of auto_LiRPA."""

from collections.abc import Callable, Sequence

import torch

from hiercls.contracts.context import Context
from hiercls.contracts.pointwise import Pointwise
from hiercls.values.heads import Head
from hiercls.words.norms import LINF
from hiercls_plugins.auto_lirpa.engine import Engine
from hiercls_plugins.auto_lirpa.ranking import Ranking
from hiercls_plugins.auto_lirpa.trial import SLACK, require_bounds
from hiercls_plugins.bounds.boxes import enclosing
from hiercls_plugins.bounds.places import Places
from hiercls_plugins.bounds.precision import FullPrecision
from hiercls_plugins.bounds.search import Search, largest_budgets


class LirpaProver(Pointwise):
    """Decides in float32, and bounds a float64 copy of the same weights, a few rows of a tile at once.

    An output of the deployed network may lie SLACK times the largest output away from the real-valued one: leads
    count above twice that, and inputs on which the deployed network strays further have radius 0.
    """

    norm = LINF

    def __init__(
        self,
        network: torch.nn.Module,
        heads: Sequence[Head],
        view: str,
        context: Context,
        search: Search,
        engine: Callable[[torch.nn.Module], Engine],
        rows: int,
    ) -> None:
        super().__init__(FullPrecision(network), heads, view, context.threat.domain, context)
        self.engine = engine(self.network.get_submodule("network"))
        self.search = search
        self.rows = rows
        self._tried: set[torch.Size] = set()

    def radii(self, network: torch.nn.Module, head: Head, x: torch.Tensor) -> torch.Tensor:
        inside = x.clamp(self.domain.lower, self.domain.upper) if self.domain.bounded else x
        if x.shape not in self._tried:
            require_bounds(self.engine, network, inside, self.rows, self.domain, (*self.search.first,))
            self._tried.add(x.shape)
        known: list[tuple[torch.Tensor, torch.Tensor]] = []  # the copies that fill a tile are bounded once
        for part in inside.split(self.rows):
            again = next((radii for seen, radii in known if torch.equal(seen, part)), None)
            known.append((part, self._largest(head, part) if again is None else again))
        proved = torch.cat([radii for _, radii in known])
        claimed = (inside == x).flatten(1).all(dim=1).cpu()  # the zeros that fill a tile may lie outside the domain
        return torch.where((claimed & self._steady(network, inside))[:, None], proved, 0.0)

    def _largest(self, head: Head, x: torch.Tensor) -> torch.Tensor:
        logits = self.engine.outputs(x)
        ranking = Ranking.of(logits, head)
        rows, slack = ranking.rows(), 2 * SLACK * logits.abs().amax(dim=1, keepdim=True)

        def holds(_: torch.Tensor, budgets: torch.Tensor) -> torch.Tensor:
            leads = self.engine.lowest(enclosing(x, budgets.to(x.device), self.domain), rows)
            return ranking.excluded((leads > slack) & leads.isfinite(), head).cpu()

        return largest_budgets(holds, Places.own(len(x)), len(head.children), self.search)

    @torch.no_grad()
    def _steady(self, network: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        """Whether the deployed network computes the real-valued one at each input, within the slack; (N,)."""
        exact = self.engine.outputs(x)
        strays = (network(x).double() - exact).abs().amax(dim=1)
        return (strays <= SLACK * exact.abs().amax(dim=1)).cpu()
