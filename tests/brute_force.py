"""Random hierarchies with random radii, and what an adversary can do to them, by trying everything.

Nothing here composes radii: an adversary with budget r may make a node choose any child whose radius is 0
or below r, every node independently, and a label can be answered when some such choices lead to it.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import torch
from hypothesis import strategies as st

from hiercls.values.certificates import NodeCertificates, Scope
from hiercls.values.heads import ABSTAIN, UNREACHED
from hiercls.values.labels import LabelTree, Node, grow
from hiercls.words.norms import L2
from hiercls.words.threats import Domain

SCOPE = Scope(L2, "image", Domain())
RADII = [0.0, 5e-324, 0.125, 0.25, math.nextafter(0.25, 1), 0.5, 0.75, 1.0, 3.0, math.inf]


@st.composite
def trees(draw: st.DrawFn, least: int = 2, most: int = 6) -> LabelTree:
    """Trees of any shape over a few labels."""
    labels = draw(st.permutations(range(draw(st.integers(least, most)))))
    children: dict[Node, list[Node]] = {}
    waiting = [tuple(labels)]
    while waiting:
        part = waiting.pop()
        cuts = sorted(draw(st.sets(st.integers(1, len(part) - 1), min_size=1, max_size=3)))
        parts = [part[a:b] for a, b in zip([0, *cuts], [*cuts, len(part)], strict=True)]
        children[frozenset(part)] = [frozenset(each) for each in parts]
        waiting += [each for each in parts if len(each) > 1]
    return grow([f"label {k}" for k in range(len(labels))], children)


@dataclass(frozen=True)
class World:
    """A tree, the rows of its nodes for some inputs, and the labels allowed for each input."""

    tree: LabelTree
    nodes: Mapping[Node, NodeCertificates]
    allowed: torch.Tensor
    count: int


@st.composite
def worlds(draw: st.DrawFn, random: bool = False, masked: bool = False) -> World:
    """Any tree with any rows that a walk down it can give: abstaining nodes, nodes without rows, masks."""
    tree = draw(trees())
    count = draw(st.integers(1, 3))
    masks = [_mask(draw, tree, masked) for _ in range(count)]
    bare = draw(st.sets(st.sampled_from(tree.decisions))) if draw(st.booleans()) else set()
    if masked or bare == set(tree.decisions):
        bare = set()
    walks = [_walk(draw, tree, mask, bare) for mask in masks]
    nodes = {}
    for node in tree.decisions:
        if node not in bare:
            alpha = draw(st.sampled_from([0.001, 0.01])) if random and draw(st.booleans()) else 0.0
            rows = [_row(draw, tree, node, mask, steps, alpha) for mask, steps in zip(masks, walks, strict=True)]
            chosen, own, radii = zip(*rows, strict=True)
            nodes[node] = NodeCertificates(
                tree.children(node),
                torch.tensor(chosen),
                torch.tensor(own, dtype=torch.float64),
                torch.tensor(radii, dtype=torch.float64),
                alpha,
                SCOPE,
            )
    return World(tree, nodes, torch.tensor(masks), count)


def _mask(draw: st.DrawFn, tree: LabelTree, masked: bool) -> list[bool]:
    labels = range(len(tree.labels))
    kept = draw(st.sets(st.sampled_from(labels), min_size=1)) if masked else set(labels)
    return [label in kept for label in labels]


def _walk(draw: st.DrawFn, tree: LabelTree, mask: list[bool], bare: set[Node]) -> dict[Node, int]:
    steps: dict[Node, int] = {}
    node = tree.root
    while len(node) > 1:
        choices = [k for k, child in enumerate(tree.children(node)) if any(mask[label] for label in child)]
        steps[node] = draw(st.sampled_from([*choices, *choices, ABSTAIN]))
        if steps[node] == ABSTAIN or node in bare:
            break
        node = tree.children(node)[steps[node]]
    return steps


def _row(
    draw: st.DrawFn, tree: LabelTree, node: Node, mask: list[bool], steps: Mapping[Node, int], alpha: float
) -> tuple[int, float, list[float]]:
    chosen = steps.get(node, UNREACHED)
    open_children = [any(mask[label] for label in child) for child in tree.children(node)]
    radii = [
        math.inf if not open_child else draw(st.sampled_from(RADII)) if chosen >= 0 and k != chosen else 0.0
        for k, open_child in enumerate(open_children)
    ]
    others = min((radius for k, radius in enumerate(radii) if k != chosen), default=math.inf)
    own = others if alpha == 0 else max(others, draw(st.sampled_from(RADII)))
    return chosen, own if chosen >= 0 else 0.0, radii


def budgets(world: World) -> list[float]:
    """Every budget at which anything can change: each radius, and the float above it."""
    found = {float(radius) for rows in world.nodes.values() for radius in [*rows.radii.flatten(), *rows.own]}
    found |= {math.nextafter(radius, math.inf) for radius in found} | {1e-300, 0.3, 100.0}
    return sorted(found - {0.0})


def answerable(world: World, example: int, budget: float) -> set[int]:
    """The labels that an adversary with this budget can have answered, by trying all choices of all nodes."""
    decisions = world.tree.decisions
    choices = [list(_possible(world, node, example, budget)) for node in decisions]
    return {
        label
        for combination in product(*choices)
        for label in _answer(world.tree, dict(zip(decisions, combination, strict=True)))
    }


def _possible(world: World, node: Node, example: int, budget: float) -> Iterator[Node | None]:
    children = world.tree.children(node)
    if node not in world.nodes:
        yield from children
        return
    yield None  # a node may always stop
    for child, radius in zip(children, world.nodes[node].radii[example].tolist(), strict=True):
        if radius == 0 or radius < budget:
            yield child


def _answer(tree: LabelTree, choice: Mapping[Node, Node | None]) -> Iterable[int]:
    node: Node | None = tree.root
    while node in choice:
        node = choice[node]
    return node or ()


def path(world: World, example: int) -> list[tuple[Node, float]]:
    """The nodes that an input comes to and the radius of the decision above each, +inf for the root."""
    found = [(world.tree.root, math.inf)]
    while found[-1][0] in world.nodes:
        node = found[-1][0]
        chosen = int(world.nodes[node].chosen[example])
        if chosen < 0:
            break
        found.append((world.tree.children(node)[chosen], float(world.nodes[node].own[example])))
    return found


def largest_budget(world: World, example: int, holds) -> float:
    """The largest budget at which a claim about the answerable labels holds, 0 where it never does."""
    return max((r for r in budgets(world) + [math.inf] if holds(answerable(world, example, r))), default=0.0)
