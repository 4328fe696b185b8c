"""The tree of label sets."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import networkx as nx

from hiercls.words.errors import ConfigurationError

Node = frozenset[int]
"""A set of labels, by their index in the dataset. The set is the node's identity; names are for people."""


@dataclass(frozen=True, eq=False)
class LabelTree:
    """A rooted tree of label sets in which the children of every node partition it.

    `graph` holds an edge from every node to each of its children; single labels are its leaves.
    Children are ordered by their smallest label, so that the order in a file never matters.
    """

    labels: tuple[str, ...]
    graph: nx.DiGraph
    names: Mapping[Node, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for node in self.graph:
            children = list(self.graph.successors(node))
            if children and (len(children) < 2 or not _partitions(children, node)):
                raise ConfigurationError(f"tree: the children of {self.name(node)} do not partition it")
        if self.root not in self.graph or self.graph.in_degree(self.root) or not nx.is_arborescence(self.graph):
            raise ConfigurationError("tree: not a tree from the set of all labels to each of them")
        loose = [self.name(node) for node in self.graph if len(node) > 1 and not self.graph.out_degree(node)]
        if loose:
            raise ConfigurationError(f"tree: {loose[0]} holds several labels but no classifier decides among them")
        for node in self.decisions:
            _require_distinct([self.name(child) for child in self.children(node)], self.name(node))

    @cached_property
    def root(self) -> Node:
        return frozenset(range(len(self.labels)))

    @cached_property
    def decisions(self) -> tuple[Node, ...]:
        """The nodes with children, every parent before its children, in label order within a level."""
        found: list[Node] = []
        level = [self.root]
        while level:
            found += [node for node in level if self.children(node)]
            level = [child for node in level for child in self.children(node)]
        return tuple(found)

    @cached_property
    def _children(self) -> dict[Node, tuple[Node, ...]]:
        return {node: tuple(sorted(self.graph.successors(node), key=min)) for node in self.graph}

    def children(self, node: Node) -> tuple[Node, ...]:
        return self._children[node]

    def parent(self, node: Node) -> Node | None:
        return next(iter(self.graph.predecessors(node)), None)

    @cached_property
    def _levels(self) -> dict[Node, int]:
        levels = {self.root: 0}
        for node in self.decisions:
            levels.update(dict.fromkeys(self.children(node), levels[node] + 1))
        return levels

    def level(self, node: Node) -> int:
        """The number of decisions above a node; 0 for the root."""
        return self._levels[node]

    @cached_property
    def depth(self) -> int:
        """The largest number of decisions on a path."""
        return max(self._levels.values())

    def leaf(self, label: int) -> Node:
        return frozenset((label,))

    def path(self, node: Node) -> tuple[Node, ...]:
        """The nodes from the root to `node`, both included."""
        found = [node]
        while (above := self.parent(found[-1])) is not None:
            found.append(above)
        return tuple(reversed(found))

    def name(self, node: Node) -> str:
        """A node's own name, else its one label, else `root`, else its labels in brackets."""
        if node in self.names:
            return self.names[node]
        if len(node) == 1:
            return self.labels[next(iter(node))]
        if len(node) == len(self.labels):
            return "root"
        return "[" + ", ".join(self.labels[label] for label in sorted(node)) + "]"

    def short_name(self, node: Node) -> str:
        """A node's name, shortened where it is the list of many labels."""
        if len(node) <= 3 or node in self.names or node == self.root:
            return self.name(node)
        first = ", ".join(self.labels[label] for label in sorted(node)[:2])
        return f"[{first}, … {len(node)} labels]"

    def partition(self) -> list[Any]:
        """The whole tree as nested lists of label indices: its identity, without names."""
        found: dict[Node, Any] = {self.leaf(label): label for label in range(len(self.labels))}
        for node in reversed(self.decisions):
            found[node] = [found.pop(child) for child in self.children(node)]
        return found[self.root]

    def __iter__(self) -> Iterator[Node]:
        """All nodes, parents before their children, the children of a node side by side in their order."""
        return iter(self._levels)


def _partitions(children: Sequence[Node], node: Node) -> bool:
    return all(children) and sum(map(len, children)) == len(node) and frozenset().union(*children) == node


def _require_distinct(names: Sequence[str], parent: str) -> None:
    """Refuse two children of one name: paths of names tell nodes apart."""
    twice = next((name for name, times in Counter(names).items() if times > 1), None)
    if twice is not None:
        raise ConfigurationError(f"tree: two children of {parent} are called {twice!r}; rename one")


def flat_tree(labels: Sequence[str]) -> LabelTree:
    """The tree of depth 1: one classifier decides among all labels."""
    return grow(labels, {frozenset(range(len(labels))): [frozenset((label,)) for label in range(len(labels))]})


def grow(
    labels: Sequence[str], children: Mapping[Node, Sequence[Node]], names: Mapping[Node, str] | None = None
) -> LabelTree:
    """A tree from the children of every inner node."""
    graph = nx.DiGraph()
    graph.add_nodes_from(children)
    graph.add_edges_from((node, child) for node, parts in children.items() for child in parts)
    return LabelTree(tuple(labels), graph, dict(names or {}))
