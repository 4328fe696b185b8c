"""Counting what a network answers under noise: blocks of many inputs stand together in tiles.

A tile has a fixed number of places, and a place holds one block of draws of one input. A block's place is the
sum of the example's index and the block's number, modulo the places: it depends on nothing else, and neither do
the shape of the pass and the draws. Counts are therefore the same whatever stands in the other places, for
every batch size, shard and resume; and fewer draws are the first of more.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hiercls.values.draws import Purpose
from hiercls.values.views import Inputs
from hiercls_plugins.smoothing.ballots import Ballot
from hiercls_plugins.smoothing.passes import Passes
from hiercls_plugins.smoothing.sources import Source

_FULL = 4
"""Inputs in flight for each place: enough that few places of a tile are empty."""


@dataclass(frozen=True)
class Shape:
    """A tile: so many places, each for a block of so many draws."""

    block: int
    places: int


@dataclass(frozen=True)
class _Block:
    """One block of draws that waits for its place: the first `draws` of it count."""

    seat: int
    example: int
    number: int
    draws: int
    x: torch.Tensor


class NetworkBooth:
    """A booth (`votes.Booth`) of a deployed network.

    Counts stay on the device, a row a seat, and are read when a seat is finished.
    """

    def __init__(self, passes: Passes, source: Source, purpose: Purpose, shape: Shape, most: int, view: str):
        self.passes = passes
        self.source = source
        self.purpose = purpose
        self.block = shape.block
        self.seats = min(most, 1 if shape.places == 1 else _FULL * shape.places)
        self.view = view
        self.device = passes.device
        self.queues: tuple[deque[_Block], ...] = tuple(deque() for _ in range(shape.places))
        self.ballots: dict[int, tuple[Ballot, ...]] = {}
        self.left: dict[int, int] = {}
        self.counts: dict[Ballot, torch.Tensor] = {}
        self.tile: torch.Tensor | None = None

    def ask(self, seat: int, one: Inputs, ballots: Sequence[Ballot], start: int, stop: int) -> None:
        if start % self.block or not start < stop:
            raise ValueError(f"draws {start} to {stop} do not begin with a block of {self.block}")
        if start == 0:
            self._seat(seat, ballots)
        example, x = int(one.index[0]), one.views[self.view].to(self.device)
        numbers = range(start // self.block, -(-stop // self.block))
        for number in numbers:
            waiting = _Block(seat, example, number, min(self.block, stop - number * self.block), x)
            self.queues[(example + number) % len(self.queues)].append(waiting)
        self.left[seat] = len(numbers)

    def ready(self) -> Mapping[int, Mapping[Ballot, np.ndarray]]:
        finished: list[int] = []
        while not finished:
            blocks = {place: queue.popleft() for place, queue in enumerate(self.queues) if queue}
            self._count(blocks)
            for block in blocks.values():
                self.left[block.seat] -= 1
                if not self.left[block.seat]:
                    finished.append(block.seat)
        return {seat: self._read(seat) for seat in finished}

    def _seat(self, seat: int, ballots: Sequence[Ballot]) -> None:
        self.ballots[seat] = tuple(ballots)
        for ballot in ballots:
            if ballot not in self.counts:
                self.counts[ballot] = torch.zeros(self.seats, ballot.cells, dtype=torch.int64, device=self.device)
            self.counts[ballot][seat] = 0

    def _read(self, seat: int) -> dict[Ballot, np.ndarray]:
        return {ballot: self.counts[ballot][seat].cpu().numpy().copy() for ballot in self.ballots[seat]}

    @torch.inference_mode()
    def _count(self, blocks: Mapping[int, _Block]) -> None:
        """One tile: all its places in one pass, then each ballot for the places that ask for it."""
        logits = self.passes.logits(self._noisy(blocks)).unflatten(0, (len(self.queues), self.block))
        by_ballot: dict[Ballot, list[int]] = {}
        for place, block in blocks.items():
            for ballot in self.ballots[block.seat]:
                by_ballot.setdefault(ballot, []).append(place)
        for ballot, places in by_ballot.items():
            asked = [blocks[place] for place in places]
            draws = torch.tensor([block.draws for block in asked], device=self.device)
            valid = torch.arange(self.block, device=self.device) < draws[:, None]
            seats = torch.tensor([block.seat for block in asked], device=self.device)
            self.counts[ballot].index_add_(0, seats, ballot.tally(logits[places], valid))

    def _noisy(self, blocks: Mapping[int, _Block]) -> torch.Tensor:
        """(places * block, ...); an empty place keeps what it held, which nobody counts."""
        first = next(iter(blocks.values()))
        if len(self.queues) == 1:
            return self._drawn(first)
        if self.tile is None:
            self.tile = torch.zeros(len(self.queues) * self.block, *first.x.shape[1:], device=self.device)
        for place, block in blocks.items():
            self.tile[place * self.block : (place + 1) * self.block] = self._drawn(block)
        return self.tile

    def _drawn(self, block: _Block) -> torch.Tensor:
        return self.source.noisy(block.x, self.purpose, block.example, block.number, self.block)
