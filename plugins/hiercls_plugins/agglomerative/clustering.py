"""Agglomerative clustering of weight rows."""

import numpy as np
import torch
from scipy.cluster.hierarchy import linkage as link

from hiercls.contracts.components import Grown
from hiercls.values.labels import LabelTree, Node, grow
from hiercls.words.errors import ConfigurationError

_SCIPY = {"l2": "euclidean", "cosine": "cosine"}


def clustered(labels: tuple[str, ...], rows: np.ndarray, linkage: str, metric: str) -> Grown:
    """The binary tree of merges.

    Args:
        rows: (L, features) float64.

    Raises:
        ConfigurationError: there is nothing to merge, or a cosine distance from a row of zeros.
    """
    if len(labels) < 2:
        raise ConfigurationError("tree: agglomerative needs at least two labels")
    if metric == "cosine" and not np.linalg.norm(rows, axis=1).all():
        raise ConfigurationError("tree: a weight row is zero and has no cosine distance; use l2")
    merges = link(rows, method=linkage, metric=_SCIPY[metric])
    clusters: list[Node] = [frozenset((label,)) for label in range(len(labels))]
    children: dict[Node, tuple[Node, Node]] = {}
    for first, second, *_ in merges:
        pair = clusters[int(first)], clusters[int(second)]
        clusters.append(pair[0] | pair[1])
        children[clusters[-1]] = pair
    tree = grow(labels, children)
    return Grown(tree, _why(tree, merges, linkage, metric))


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


def _why(tree: LabelTree, merges: np.ndarray, linkage: str, metric: str) -> str:
    """The root split, and how much further apart its sides are than the parts that were merged before."""
    sides = " | ".join(tree.name(child) for child in tree.children(tree.root))
    before = f", {merges[-1, 2] / merges[-2, 2]:.2f} times the merge before it" if _positive(merges) else ""
    return f"{linkage} linkage of {metric} distances between last-layer rows; the root splits {sides}{before}"


def _positive(merges: np.ndarray) -> bool:
    return len(merges) > 1 and bool(merges[-2, 2] > 0)
