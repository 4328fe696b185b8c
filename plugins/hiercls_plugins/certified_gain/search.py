"""The tree of the largest gain: local search from several starts."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np

from hiercls_plugins.certified_gain.objective import Objective
from hiercls_plugins.certified_gain.shapes import Shape, edges, far_moves, near_moves, star

GAINED = 1e-12
"""Smaller gains are those of rounding."""

FAR = 4000
"""Regrafts tried before a tree counts as the best of its neighbourhood; up to 20 labels that is all of them."""

Moves = Callable[[Shape, int, np.random.Generator], Iterator[Shape]]


@dataclass(frozen=True)
class Climbed:
    """Where the search ended.

    Attributes:
        reached: the gain that each start led to, by its name.
    """

    shape: Shape
    gain: float
    reached: Mapping[str, float]


def searched(objective: Objective, starts: Mapping[str, Shape], arity: int, random: np.random.Generator) -> Climbed:
    """The best tree that any start leads to; of equal ones the first."""
    ends = {name: climbed(objective, start, arity, random) for name, start in starts.items()}
    reached = {name: objective.gain(shape) for name, shape in ends.items()}
    best = max(reached, key=lambda name: reached[name])
    return Climbed(ends[best], reached[best], reached)


def climbed(objective: Objective, start: Shape, arity: int, random: np.random.Generator) -> Shape:
    """Take every interchange that gains; where none does, the first regraft that does; until none does."""
    shape, codes = start, objective.codes(start)
    while True:
        for moves in (near_moves(shape, arity, random), islice(far_moves(shape, arity, random), FAR)):
            better = _better(objective, shape, codes, moves)
            if better is not None:
                shape, codes = better
                break
        else:
            return shape


def _better(
    objective: Objective, shape: Shape, codes: np.ndarray, moves: Iterable[Shape]
) -> tuple[Shape, np.ndarray] | None:
    """The first move that gains."""
    value, before = objective.value(codes), edges(shape)
    for other in moves:
        found = objective.moved(codes, before, edges(other))
        if objective.value(found) > value + GAINED:
            return other, found
    return None


def merged_greedily(objective: Objective, arity: int) -> Shape:
    """From the flat tree, merge the two children of the root that leave the largest gain, up to the arity."""
    shape = star(objective.labels)
    root = next(iter(shape))
    while len(shape[root]) > arity:
        codes, before = objective.codes(shape), edges(shape)
        pairs = [_paired(shape, root, pair) for pair in combinations(shape[root], 2)]
        shape = max(pairs, key=lambda other: objective.value(objective.moved(codes, before, edges(other))))
    return shape


def _paired(shape: Shape, root: int, pair: tuple[int, ...]) -> Shape:
    left = tuple(child for child in shape[root] if child not in pair)
    return {**shape, root: (*left, pair[0] | pair[1]), pair[0] | pair[1]: pair}
