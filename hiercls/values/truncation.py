"""Cutting a tree: below a depth, or below the last change of a criterion, one multi-way decision."""

from collections.abc import Callable, Hashable, Mapping, Sequence

from hiercls.values.labels import LabelTree, Node, grow
from hiercls.words.errors import ConfigurationError


def truncate_depth(tree: LabelTree, depth: int) -> LabelTree:
    """Keep the decisions at levels 0 to `depth` - 1 and put one multi-way decision at level `depth`.

    The truncated NDT of Wang et al. (2021): `depth` 0 is the flat tree.

    Raises:
        ConfigurationError: a negative depth.
    """
    if depth < 0:
        raise ConfigurationError(f"tree.truncate.depth: found {depth}; write 0 or more")
    return _regrown(tree, lambda node: _leaves(node) if tree.level(node) == depth else tree.children(node))


def truncate_equal(tree: LabelTree, criterion: Callable[[Node], Hashable]) -> LabelTree:
    """Put one multi-way decision in the place of every maximal subtree whose decisions share one criterion.

    Args:
        criterion: what a decision is asked to satisfy, such as its budget.
    """
    shared = _shared(tree, criterion)
    return _regrown(tree, lambda node: _leaves(node) if len(shared[node]) == 1 else tree.children(node))


def _shared(tree: LabelTree, criterion: Callable[[Node], Hashable]) -> Mapping[Node, frozenset[Hashable]]:
    """The criteria met in the subtree of each decision."""
    found: dict[Node, frozenset[Hashable]] = {}
    for node in reversed(tree.decisions):
        below = [found[child] for child in tree.children(node) if child in found]
        found[node] = frozenset((criterion(node),)).union(*below)
    return found


def _regrown(tree: LabelTree, children: Callable[[Node], Sequence[Node]]) -> LabelTree:
    """The tree of these children from the root down, with the names of the nodes that stay."""
    grown: dict[Node, Sequence[Node]] = {}
    names: dict[Node, str] = {}
    waiting = [tree.root]
    while waiting:
        node = waiting.pop()
        if node in tree.names:
            names[node] = tree.names[node]
        if len(node) > 1:
            grown[node] = children(node)
            waiting += grown[node]
    return grow(tree.labels, grown, names)


def _leaves(node: Node) -> list[Node]:
    return [frozenset((label,)) for label in sorted(node)]
