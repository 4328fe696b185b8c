"""Where counts come from: what stands between the statistics and the network."""

from collections.abc import Mapping, Sequence
from math import log
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from hiercls.contracts.context import Context
from hiercls.values.draws import Purpose, standard_normal
from hiercls.values.heads import Head
from hiercls.values.views import Inputs
from hiercls_plugins.smoothing.ballots import Ballot
from hiercls_plugins.smoothing.booth import NetworkBooth, Shape
from hiercls_plugins.smoothing.passes import Passes
from hiercls_plugins.smoothing.sources import source

if TYPE_CHECKING:
    from hiercls_plugins.smoothing.certifier import Smoothing

TIMED = 3
"""Tiles whose rate is that of the work."""

_NEVER = -1e30
"""The log of no probability while gradients flow: the gradient of a logsumexp over infinities alone is NaN."""


class Booth(Protocol):
    """Counts the draws of many inputs at once, each at its own pace.

    Attributes:
        seats: how many inputs may be in flight.
    """

    seats: int

    def ask(self, seat: int, one: Inputs, ballots: Sequence[Ballot], start: int, stop: int) -> None:
        """Count the draws start, ..., stop - 1 of exactly one example beside those counted at this seat before.

        Every ballot sees all draws, never only those that another passed on. At start 0 a seat begins anew.
        """
        ...

    def ready(self) -> Mapping[int, Mapping[Ballot, np.ndarray]]:
        """Draw until at least one asked seat is finished: the counts (cells,) int64 of each finished seat."""
        ...


class Votes(Protocol):
    """A source of votes.

    Attributes:
        sigma: the standard deviation of the noise, exactly.
        block: a multiple of it is drawn before every look but the last.
        tile: rows of one forward pass.
    """

    @property
    def sigma(self) -> float: ...

    @property
    def block(self) -> int: ...

    @property
    def tile(self) -> int: ...

    def booth(self, purpose: Purpose, draws: int) -> Booth:
        """A booth for inputs that see at most so many draws of one purpose."""
        ...

    def rate(self, one: Inputs, ballots: Sequence[Ballot]) -> float:
        """Draws a second around one example in full tiles, counted for these ballots. It changes no vote."""
        ...

    def remarks(self) -> Mapping[str, Any]:
        """What a row is to record of how its draws were counted; empty where all went as the options say."""
        ...

    def entries(self, one: Inputs) -> int:
        """The entries of one example's view."""
        ...

    def slack(self, entries: int) -> float:
        """Total variation between the draws around one example and exact normal ones."""
        ...

    def scores(self, inputs: Inputs, draws: int, step: int, heads: Sequence[Head]) -> Mapping[Head, torch.Tensor]:
        """What an attack climbs: for each child a log-probability, (N, children), differentiable in the view."""
        ...


class NetworkVotes:
    """Votes of a deployed network at x + N(0, sigma^2), which is never clipped."""

    def __init__(self, network: torch.nn.Module, options: "Smoothing", view: str, context: Context):
        self.device = torch.device(context.device)
        self.passes = Passes(network, options, self.device)
        self.source = source(options.noise, context.seed, options.sigma, context.threat.domain, self.device)
        self.options = options
        self.view = view
        self.seed = context.seed
        self.batch = context.batch
        self.clock = context.clock

    @property
    def sigma(self) -> float:
        return self.source.sigma

    @property
    def block(self) -> int:
        return self.options.shape(self.device.type)[0]

    @property
    def tile(self) -> int:
        return self.options.shape(self.device.type)[1]

    def booth(self, purpose: Purpose, draws: int) -> NetworkBooth:
        block, tile = self.options.shape(self.device.type)
        shape = Shape(min(block, draws), tile // block)
        return NetworkBooth(self.passes, self.source, purpose, shape, self.batch, self.view)

    def rate(self, one: Inputs, ballots: Sequence[Ballot]) -> float:
        parts, booth = self.passes.parts, self.booth(Purpose.ATTACK, self.tile)
        booth.ask(0, one, ballots, 0, self.tile)
        booth.ready()  # the first tile also loads, allocates and chooses
        began = self.clock()
        booth.ask(0, one, ballots, self.tile, (1 + TIMED) * self.tile)
        booth.ready()
        seconds = self.clock() - began
        self.passes.parts = parts
        if self.device.type == "cuda":
            torch.cuda.empty_cache()  # room for the processes that do the work
        return TIMED * self.tile / max(seconds, 1e-9)

    def remarks(self) -> Mapping[str, Any]:
        return {"passes a tile": self.passes.parts} if self.passes.parts > 1 else {}

    def entries(self, one: Inputs) -> int:
        return one.views[self.view][0].numel()

    def slack(self, entries: int) -> float:
        return self.source.slack(entries)

    def scores(self, inputs: Inputs, draws: int, step: int, heads: Sequence[Head]) -> Mapping[Head, torch.Tensor]:
        x = inputs.views[self.view].to(self.device)
        shape = (draws, *x.shape[1:])
        named = [(self.seed, Purpose.ATTACK, index, step) for index in inputs.index.tolist()]
        noise = torch.stack([standard_normal(*name, shape, x.device) for name in named])
        noisy = torch.add(x[:, None], noise, alpha=self.sigma).flatten(0, 1)
        logits = self.passes.through(noisy).float().unflatten(0, (len(x), draws)).to(inputs.index.device)
        evidence = log_probability if self.options.rule == "plurality" else log_beaten
        return {head: evidence(head, logits, inputs.allowed_children(head.children)) for head in heads}


def log_probability(head: Head, logits: torch.Tensor, allowed: torch.Tensor | None) -> torch.Tensor:
    """Log of each child's softmax probability among the allowed children, averaged over draws.

    Args:
        logits: (N, draws, outputs); a draw without a finite answer gives its share to no child.
        allowed: (N, children) bool; None allows all.

    Returns:
        (N, children), -inf for a child that is not allowed.
    """
    rows = logits[:, :, list(head.allowed)]
    owner = torch.tensor(head.child_of, device=logits.device)
    if allowed is None:
        allowed = torch.ones(len(logits), len(head.children), dtype=torch.bool)
    barred = ~allowed.to(logits.device)[:, None, owner].expand_as(rows)
    lost = ~(rows.isfinite() | barred).all(dim=2, keepdim=True) | barred.all(dim=2, keepdim=True)
    among = torch.where(lost, 0.0, rows.masked_fill(barred, _NEVER)).log_softmax(dim=2)
    children = [among[:, :, owner == child].logsumexp(dim=2) for child in range(len(head.children))]
    scores = torch.stack(children, dim=2).masked_fill(lost, _NEVER).logsumexp(dim=1) - log(logits.shape[1])
    return scores.masked_fill(scores < 0.5 * _NEVER, -torch.inf)


def log_beaten(head: Head, logits: torch.Tensor, allowed: torch.Tensor | None) -> torch.Tensor:
    """Log of the share of draws on which a child beats the opponent that it beats least, softly.

    Args:
        logits: (N, draws, outputs); a draw without a finite answer is a win for nobody.
        allowed: (N, children) bool; None allows all.

    Returns:
        (N, children), -inf for a child that is not allowed.
    """
    children = len(head.children)
    if allowed is None:
        allowed = torch.ones(len(logits), children, dtype=torch.bool)
    allowed = allowed.to(logits.device)
    scores = torch.stack([logits[:, :, list(group)].amax(dim=2) for group in head.outputs], dim=2)
    lost = ~(scores.isfinite() | ~allowed[:, None]).all(dim=2)
    scores = torch.where(lost[:, :, None] | ~allowed[:, None], 0.0, scores)
    softly = (scores[:, :, :, None] - scores[:, :, None, :]).sigmoid().log().masked_fill(lost[:, :, None, None], _NEVER)
    wins = softly.logsumexp(dim=1) - log(logits.shape[1])  # (N, winner, loser)
    nobody = ~allowed[:, None, :] | torch.eye(children, dtype=torch.bool, device=logits.device)
    weakest = wins.masked_fill(nobody, 0.0).amin(dim=2).masked_fill(~allowed, _NEVER)
    return weakest.masked_fill(weakest < 0.5 * _NEVER, -torch.inf)
