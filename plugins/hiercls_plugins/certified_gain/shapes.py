"""Trees as masks of labels, and the moves between them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from hiercls.values.labels import LabelTree, grow

Shape = Mapping[int, tuple[int, ...]]
"""The children of every inner node. A node is a mask: bit k stands for label k."""

Edge = tuple[int, int]
"""A node and one of its children."""


def members(node: int) -> list[int]:
    """The labels of a node, ascending."""
    return [label for label in range(node.bit_length()) if node >> label & 1]


def edges(shape: Shape) -> set[Edge]:
    return {(node, child) for node, children in shape.items() for child in children}


def star(labels: int) -> Shape:
    """The flat tree."""
    return {(1 << labels) - 1: tuple(1 << label for label in range(labels))}


def of_merges(merged: np.ndarray, labels: int) -> Shape:
    """The binary tree of a table of merges, as scipy writes it."""
    clusters = [1 << label for label in range(labels)]
    children: dict[int, tuple[int, ...]] = {}
    for first, second, *_ in merged:
        pair = clusters[int(first)], clusters[int(second)]
        clusters.append(pair[0] | pair[1])
        children[clusters[-1]] = pair
    return children


def random_shape(labels: int, random: np.random.Generator) -> Shape:
    """The binary tree of merges between parts drawn evenly."""
    parts = [1 << label for label in range(labels)]
    children: dict[int, tuple[int, ...]] = {}
    while len(parts) > 1:
        pair = tuple(parts.pop(int(random.integers(len(parts)))) for _ in range(2))
        parts.append(pair[0] | pair[1])
        children[parts[-1]] = pair
    return children


def of_tree(tree: LabelTree) -> Shape:
    return {_mask(node): tuple(map(_mask, tree.children(node))) for node in tree.decisions}


def as_tree(shape: Shape, labels: tuple[str, ...]) -> LabelTree:
    return grow(labels, {_set(node): [_set(child) for child in children] for node, children in shape.items()})


def _mask(labels: Iterable[int]) -> int:
    return sum(1 << label for label in labels)


def _set(node: int) -> frozenset[int]:
    return frozenset(members(node))


def near_moves(shape: Shape, arity: int, random: np.random.Generator) -> Iterator[Shape]:
    """The trees one step away: a subtree goes to a neighbour of its place, or a node gives up a level.

    In binary trees these are the nearest-neighbour interchanges of rooted trees.
    """
    yield from _contracted(shape, arity)
    for part, parent in _parts(shape, random):
        rest = without(shape, part)
        hole = parent & ~part
        above = next((node for node, children in rest.items() if hole in children), hole)
        places = {hole, above, *rest.get(hole, ())}
        for place in sorted(places):
            yield from grafts(rest, _below(shape, part), part, place, arity)


def far_moves(shape: Shape, arity: int, random: np.random.Generator) -> Iterator[Shape]:
    """All trees in which one subtree is pruned and regrafted anywhere else."""
    for part, _ in _parts(shape, random):
        rest = without(shape, part)
        for place in nodes(rest) or [max(shape) & ~part]:
            yield from grafts(rest, _below(shape, part), part, place, arity)


def nodes(shape: Shape) -> list[int]:
    """All nodes, the labels too, in ascending order."""
    return sorted({*shape, *(child for children in shape.values() for child in children)})


def without(shape: Shape, part: int) -> Shape:
    """The tree after a subtree is pruned; a node left with one child gives way to it."""
    pruned: dict[int, tuple[int, ...]] = {}
    for node, children in shape.items():
        if node & ~part:
            left = tuple(child & ~part for child in children if child != part)
            if len(left) > 1:
                pruned[node & ~part] = left
    return pruned


def grafts(rest: Shape, below: Shape, part: int, place: int, arity: int) -> Iterator[Shape]:
    """The trees with a subtree regrafted beside a place, and inside it where that may have another child."""
    above = {
        node | part: tuple(child | part if child & place == place else child for child in children)
        for node, children in rest.items()
        if node & place == place and node != place
    }
    apart = {node: children for node, children in rest.items() if node & place != place}
    here = {place: rest[place]} if place in rest else {}
    yield {**below, **apart, **above, **here, place | part: (place, part)}
    if here and len(rest[place]) < arity:
        yield {**below, **apart, **above, place | part: (*rest[place], part)}


def _contracted(shape: Shape, arity: int) -> Iterator[Shape]:
    """The trees in which one node's children become those of its parent."""
    for parent, children in shape.items():
        for node in children:
            if node in shape and len(children) - 1 + len(shape[node]) <= arity:
                left = tuple(child for child in children if child != node)
                kept = {other: below for other, below in shape.items() if other != node}
                yield {**kept, parent: (*left, *shape[node])}


def _parts(shape: Shape, random: np.random.Generator) -> Sequence[tuple[int, int]]:
    """Every node below the root with its parent, in a drawn order."""
    found = sorted((child, node) for node, child in edges(shape))
    return [found[place] for place in random.permutation(len(found))]


def _below(shape: Shape, part: int) -> Shape:
    return {node: children for node, children in shape.items() if node & part == node}
