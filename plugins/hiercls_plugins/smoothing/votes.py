"""Counting what a network answers under noise."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from math import log
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from hiercls.contracts.context import Context
from hiercls.values.draws import Purpose, standard_normal
from hiercls.values.heads import Head
from hiercls.values.views import Inputs
from hiercls_plugins.smoothing.folding import deployed

if TYPE_CHECKING:
    from hiercls_plugins.smoothing.certifier import Smoothing

_NEVER = -1e30
"""The log of no probability while gradients flow: the gradient of a logsumexp over infinities alone is NaN."""


class Votes(Protocol):
    """A source of votes: what stands between the statistics and the network."""

    def count(self, one: Inputs, purpose: Purpose, draws: int, heads: Sequence[Head]) -> Mapping[Head, np.ndarray]:
        """The answers of each decision to the same draws around exactly one example.

        Returns:
            for each head (children + 1,) int64, summing to `draws`: every decision sees all draws, never only
            those that another decision passed on. The last cell counts draws without a finite answer.
        """
        ...

    def scores(self, inputs: Inputs, draws: int, step: int, heads: Sequence[Head]) -> Mapping[Head, torch.Tensor]:
        """Log of each child's probability averaged over draws, (N, children), differentiable in the view."""
        ...


class NetworkVotes:
    """Votes of a deployed network at x + N(0, sigma^2), which is never clipped.

    Forward passes run in tiles of one fixed shape that hold draws of one input: a tile is one block of that
    input's stream. Counts therefore depend on nothing but the input, and fewer draws are the first of more.
    """

    def __init__(self, network: torch.nn.Module, options: "Smoothing", view: str, context: Context):
        self.network = deployed(network, context.device)
        self.options = options
        self.view = view
        self.seed = context.seed
        self.device = torch.device(context.device)

    @torch.inference_mode()
    def count(self, one: Inputs, purpose: Purpose, draws: int, heads: Sequence[Head]) -> Mapping[Head, np.ndarray]:
        ballots = [_Ballot(head, self.device) for head in heads]
        for logits in self._logits(one, purpose, draws) if ballots else ():
            finite = bool(logits.isfinite().all())
            for ballot in ballots:
                ballot.add(logits, finite)
        return {head: ballot.counts.cpu().numpy() for head, ballot in zip(heads, ballots, strict=True)}

    def scores(self, inputs: Inputs, draws: int, step: int, heads: Sequence[Head]) -> Mapping[Head, torch.Tensor]:
        x = inputs.views[self.view].to(self.device)
        shape = (draws, *x.shape[1:])
        noise = torch.stack([self._normal(int(index), Purpose.ATTACK, step, shape) for index in inputs.index])
        noisy = torch.add(x[:, None], noise, alpha=self.options.sigma).flatten(0, 1)
        with self._precision():
            logits = self.network(noisy).float().unflatten(0, (len(x), draws))
        logits = logits.to(inputs.index.device)
        return {head: log_probability(head, logits, inputs.allowed_children(head.children)) for head in heads}

    def _logits(self, one: Inputs, purpose: Purpose, draws: int) -> Iterator[torch.Tensor]:
        """Logits of all draws, in full tiles; the rest of the last one is cut off."""
        x = one.views[self.view].to(self.device)
        tile = min(self.options.tile, draws)
        with self._precision():
            for block in range(-(-draws // tile)):
                noise = self._normal(int(one.index[0]), purpose, block, (tile, *x.shape[1:]))
                noisy = torch.add(x, noise, alpha=self.options.sigma, out=noise)
                yield self.network(noisy)[: draws - block * tile]

    def _normal(self, example: int, purpose: Purpose, block: int, shape: tuple[int, ...]) -> torch.Tensor:
        return standard_normal(self.seed, purpose, example, block, shape, self.device)

    def _precision(self) -> AbstractContextManager:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.precision == "bf16")


class _Ballot:
    """The running count of one decision."""

    def __init__(self, head: Head, device: torch.device):
        self.outputs = torch.tensor(head.allowed, device=device)
        self.owner = torch.tensor(head.child_of, device=device)
        self.lost = len(head.children)
        self.counts = torch.zeros(self.lost + 1, dtype=torch.int64, device=device)

    def add(self, logits: torch.Tensor, finite: bool) -> None:
        """Count one tile; `finite` says that all logits are, which spares the look at each draw."""
        rows = logits.index_select(1, self.outputs)
        child = self.owner[rows.argmax(dim=1)]
        if not finite:
            child = torch.where(rows.isfinite().all(dim=1), child, self.lost)
        self.counts += torch.bincount(child, minlength=self.lost + 1)


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
