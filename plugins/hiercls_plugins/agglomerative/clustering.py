"""Agglomerative clustering of weight rows."""

import numpy as np
import torch
from scipy.cluster.hierarchy import linkage as link

from hiercls.contracts.components import Grown
from hiercls.values.labels import LabelTree, Node, grow
from hiercls.words.errors import ConfigurationError

_SCIPY = {"l2": "euclidean", "cosine": "cosine"}


def clustered(labels: tuple[str, ...], rows: np.ndarray, linkage: str, metric: str, arity: int = 2) -> Grown:
    """The tree of merges, each node cut into as many parts as `arity` allows by undoing its highest merges.

    Args:
        rows: (L, features) float64.

    Raises:
        ConfigurationError: there is nothing to merge, or a cosine distance from a row of zeros.
    """
    if len(labels) < 2:
        raise ConfigurationError("tree: agglomerative needs at least two labels")
    merged = merges(rows, linkage, metric)
    tree = grow(labels, _cut(merged, len(labels), arity))
    return Grown(tree, _why(tree, merged, linkage, metric))


def merges(rows: np.ndarray, linkage: str, metric: str) -> np.ndarray:
    """The merges from the nearest to the last, (L - 1, 4): two clusters, their distance, the labels they hold.

    Clusters 0 to L - 1 are the labels, cluster L + k is made by merge k.

    Raises:
        ConfigurationError: a cosine distance from a row of zeros.
    """
    if metric == "cosine" and not np.linalg.norm(rows, axis=1).all():
        raise ConfigurationError("tree: a weight row is zero and has no cosine distance; use l2")
    return link(rows, method=linkage, metric=_SCIPY[metric])


def _cut(merged: np.ndarray, labels: int, arity: int) -> dict[Node, list[Node]]:
    """The children of every inner node from the root down; with an arity of 2, those of its own merge."""
    sides = [(int(first), int(second)) for first, second, *_ in merged]
    members: list[Node] = [frozenset((label,)) for label in range(labels)]
    for first, second in sides:
        members.append(members[first] | members[second])
    children: dict[Node, list[Node]] = {}
    waiting = [len(members) - 1]
    while waiting:
        cluster = waiting.pop()
        parts = [cluster]
        while len(parts) < arity and max(parts) >= labels:
            parts += sides[parts.pop(parts.index(max(parts))) - labels]
        children[members[cluster]] = [members[part] for part in parts]
        waiting += [part for part in parts if part >= labels]
    return children


def last_rows(network: torch.nn.Module, labels: int, name: str) -> np.ndarray:
    """The weight rows of the last dense layer, (L, features) float64.

    Raises:
        ConfigurationError: the network has no such layer, or not one row a label.
    """
    dense = [layer for layer in network.modules() if isinstance(layer, torch.nn.Linear)]
    if not dense or dense[-1].out_features != labels:
        raise ConfigurationError(
            f"tree: network {name!r} does not end in a dense layer with one row a label ({labels})"
        )
    return dense[-1].weight.detach().double().cpu().numpy()


def _why(tree: LabelTree, merged: np.ndarray, linkage: str, metric: str) -> str:
    """The root split, and how much further apart two sides are than the parts that were merged before."""
    sides = tree.children(tree.root)
    split = " | ".join(tree.name(child) for child in sides)
    compared = len(sides) == 2 and len(merged) > 1 and merged[-2, 2] > 0
    told = f", {merged[-1, 2] / merged[-2, 2]:.2f} times the merge before it" if compared else ""
    return f"{linkage} linkage of {metric} distances between last-layer rows; the root splits {split}{told}"
