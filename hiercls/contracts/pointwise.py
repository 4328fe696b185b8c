"""The easy door for deterministic certifiers: the framework owns tiles, heads and rows."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

import torch

from hiercls.contracts.context import Context
from hiercls.contracts.frozen import frozen
from hiercls.contracts.provers import Claim, Proof, Row
from hiercls.values.certificates import others
from hiercls.values.draws import Purpose
from hiercls.values.heads import ABSTAIN, Head
from hiercls.values.views import Inputs
from hiercls.words.norms import Norm
from hiercls.words.threats import Domain

TILE = 256


class Pointwise(ABC):
    """A prover whose radii depend on one input alone.

    Forward passes run in padded tiles of one fixed shape, and an input's place in a tile is its index
    modulo the tile: a row never depends on its neighbours, on the batch size or on a resume.
    """

    norm: Norm
    alpha = 0.0

    def __init__(self, network: torch.nn.Module, heads: Sequence[Head], view: str, domain: Domain, context: Context):
        self.network = frozen(network, context.device)
        self.heads = tuple(heads)
        self.view = view
        self.domain = domain
        self.context = context

    @abstractmethod
    def radii(self, network: torch.nn.Module, head: Head, x: torch.Tensor) -> torch.Tensor:
        """Targeted certified radii of one tile.

        Args:
            network: the deployed network, in eval mode.
            head: the decision; its own argmax is what is certified.
            x: (TILE, ...) inputs.

        Returns:
            (TILE, children) float64, closed radii in `norm` within `domain`; the column of the decided
            child is ignored.
        """

    def all_radii(self, head: Head, x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """Targeted certified radii of any number of inputs: tile by tile, where a prover has no better way.

        Args:
            x: (n, ...) inputs.
            index: (n,) int64; an input's place in a pass is its index modulo TILE.

        Returns:
            (n, children) float64 on the CPU, as `radii` gives them.
        """
        return in_tiles(lambda tile: self.radii(self.network, head, tile).cpu(), x, index)

    def decide(self, inputs: Inputs, purpose: Purpose, alpha: float | None = None) -> Mapping[Head, torch.Tensor]:
        logits = self._logits(inputs)
        return {head: _decide_allowed(head, logits, inputs) for head in self.heads}

    def prove(self, claims: Iterable[Claim]) -> Iterator[Proof]:
        stream = iter(claims)
        while batch := list(islice(stream, self.context.batch)):
            yield from self._prove(batch)

    def scores(self, inputs: Inputs, draws: int, step: int) -> Mapping[Head, torch.Tensor]:
        x = inputs.views[self.view]
        logits = self.network(x.to(self.context.device)).to(x.device)
        found = {}
        for head in self.heads:
            allowed = inputs.allowed_children(head.children)
            scores = head.scores(logits)
            found[head] = scores if allowed is None else scores.masked_fill(~allowed, -torch.inf)
        return found

    def _logits(self, inputs: Inputs) -> torch.Tensor:
        with torch.no_grad():
            return in_tiles(
                lambda x: self.network(x).cpu(), inputs.views[self.view].to(self.context.device), inputs.index
            )

    def _prove(self, claims: Sequence[Claim]) -> Iterator[Proof]:
        rows: list[dict[Head, Row]] = [{} for _ in claims]
        for head in self.heads:
            concerned = [k for k, claim in enumerate(claims) if head in claim.chosen]
            for k, row in zip(concerned, self._rows(head, [claims[k] for k in concerned]), strict=True):
                rows[k][head] = row
        for claim, found in zip(claims, rows, strict=True):
            yield Proof(claim.index, found)

    def _rows(self, head: Head, claims: Sequence[Claim]) -> list[Row]:
        if not claims:
            return []
        chosen = torch.tensor([claim.chosen[head] for claim in claims])
        radii = torch.zeros(len(claims), len(head.children), dtype=torch.float64)
        for children, members in _by_allowed(head, claims).items():
            x = torch.cat([claims[k].inputs.views[self.view] for k in members]).to(self.context.device)
            index = torch.cat([claims[k].inputs.index for k in members])
            radii[members] = torch.inf
            radii[torch.tensor(members)[:, None], torch.tensor(children)] = self._proved(
                head.only(children), x, index, chosen[members], children
            )
        radii.scatter_(1, chosen[:, None], 0.0)
        own = others(radii, chosen)
        return [Row(int(c), float(o), tuple(r.tolist())) for c, o, r in zip(chosen, own, radii, strict=True)]

    def _proved(
        self, head: Head, x: torch.Tensor, index: torch.Tensor, chosen: torch.Tensor, children: Sequence[int]
    ) -> torch.Tensor:
        """Radii where the deployed network decides as claimed and is finite; 0 elsewhere."""
        if len(children) == 1:
            return torch.zeros(len(x), 1, dtype=torch.float64)
        radii = self.all_radii(head, x, index)
        with torch.no_grad():
            decided = head.decide(in_tiles(lambda tile: self.network(tile).cpu(), x, index))
        agrees = torch.tensor(children)[decided.clamp_min(0)].eq(chosen) & (decided != ABSTAIN)
        return torch.where(agrees[:, None] & (radii >= 0), radii, 0.0)


def in_tiles(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Apply a row-wise function in tiles of TILE rows, padded with copies of one, each row at its index modulo TILE.

    A row's result is the same whatever stands beside it, because the shape of the pass and the row's
    place in it never change.
    """
    slots = (index % TILE).tolist()
    seen = [0] * TILE
    layer = []
    for slot in slots:
        layer.append(seen[slot])
        seen[slot] += 1
    result: torch.Tensor | None = None
    layers = torch.tensor(layer)
    for number in range(max(layer, default=-1) + 1):
        rows = (layers == number).nonzero().squeeze(1)
        places = index[rows] % TILE
        tile = x[rows[:1].to(x.device)].expand(TILE, *x.shape[1:]).clone()
        tile[places.to(x.device)] = x[rows.to(x.device)]
        values = function(tile)
        if result is None:
            result = values.new_empty(len(x), *values.shape[1:])
        result[rows] = values[places]
    return function(torch.zeros(TILE, *x.shape[1:], dtype=x.dtype, device=x.device))[:0] if result is None else result


def _decide_allowed(head: Head, logits: torch.Tensor, inputs: Inputs) -> torch.Tensor:
    allowed = inputs.allowed_children(head.children)
    if allowed is None:
        return head.decide(logits)
    decided = torch.full((len(logits),), ABSTAIN)
    for pattern in allowed.unique(dim=0):
        rows = (allowed == pattern).all(dim=1)
        children = pattern.nonzero().squeeze(1)
        if len(children):
            found = head.only(children.tolist()).decide(logits[rows])
            decided[rows] = torch.where(found == ABSTAIN, ABSTAIN, children[found.clamp_min(0)])
    return decided


def _by_allowed(head: Head, claims: Sequence[Claim]) -> dict[tuple[int, ...], list[int]]:
    """Claims by the children that are allowed for their inputs."""
    found: dict[tuple[int, ...], list[int]] = {}
    for k, claim in enumerate(claims):
        allowed = claim.inputs.allowed_children(head.children)
        children = (
            tuple(range(len(head.children))) if allowed is None else tuple(allowed[0].nonzero().squeeze(1).tolist())
        )
        found.setdefault(children, []).append(k)
    return found
