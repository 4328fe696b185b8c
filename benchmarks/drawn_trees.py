"""A picture of many dendrograms: a row a kind of clustering, a column a network."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hiercls.values.labels import LabelTree, Node

SIDE, REST, MIXED, INK = "#c2410c", "#1d5f8a", "#9aa0a6", "#202124"
"""Branches that hold labels of one side of the published split, of the other, of both; and all writing."""

PANEL = (2.75, 1.75)


class Drawn(Protocol):
    """One dendrogram: its merges as scipy writes them, and how its root split agrees with the published one."""

    seed: int
    linkage: str
    metric: str
    merged: np.ndarray
    tree: LabelTree
    rand: float


def draw(found: Sequence[Drawn], kinds: Sequence[tuple[str, str]], side: Node, path: Path) -> None:
    """Write the picture.

    Args:
        side: one side of the published split; its labels stand above the others wherever the tree allows it.
    """
    seeds = list(dict.fromkeys(tree.seed for tree in found))
    figure = Figure(figsize=(PANEL[0] * len(seeds) + 0.7, PANEL[1] * len(kinds) + 0.8), layout="constrained")
    panels = figure.subplots(len(kinds), len(seeds), squeeze=False)
    places = {(tree.linkage, tree.metric, tree.seed): tree for tree in found}
    for row, (linkage, metric) in zip(panels, kinds, strict=True):
        row[0].set_ylabel(f"{linkage}, {metric}", fontsize=11, color=INK, labelpad=8)
        for panel, seed in zip(row, seeds, strict=True):
            _dendrogram(panel, places[linkage, metric, seed], side)
    for panel, seed in zip(panels[0], seeds, strict=True):
        panel.set_title(f"seed {seed}", fontsize=11, color=INK, pad=14)
    labels = found[0].tree.labels
    names = {SIDE: ", ".join(labels[label] for label in sorted(side)), REST: "the rest", MIXED: "both"}
    lines = [Line2D([], [], color=colour, linewidth=2.5, label=name) for colour, name in names.items()]
    figure.legend(handles=lines, loc="outside upper center", ncols=3, frameon=False, fontsize=10, labelcolor=INK)
    figure.savefig(path, dpi=140)


def _dendrogram(panel: Axes, drawn: Drawn, side: Node) -> None:
    """The root on the left, the labels on the right, distances to scale."""
    labels = drawn.tree.labels
    highest = float(drawn.merged[-1, 2])
    rows: list[int] = []

    def place(cluster: int) -> tuple[float, float, Node]:
        """Draw all below a cluster; its height, its row and its labels."""
        if cluster < len(labels):
            rows.append(cluster)
            return 0.0, len(rows) - 1.0, frozenset((cluster,))
        first, second, height, _ = drawn.merged[cluster - len(labels)]
        ordered = sorted((int(first), int(second)), key=lambda part: _rank(members[part], side))
        parts = [place(part) for part in ordered]
        node = parts[0][2] | parts[1][2]
        for below, row, held in parts:
            _line(panel, (below, height), (row, row), _colour(held, side))
        _line(panel, (height, height), (parts[0][1], parts[1][1]), _colour(node, side))
        return float(height), (parts[0][1] + parts[1][1]) / 2, node

    members = _members(drawn.merged, len(labels))
    top, row, _ = place(len(members) - 1)
    _line(panel, (top, 1.05 * highest), (row, row), _colour(members[-1], side))
    panel.set(xlim=(1.06 * highest, -0.03 * highest), ylim=(len(labels) - 0.4, -0.6), xticks=[])
    panel.set_yticks(range(len(rows)), [labels[label] for label in rows], fontsize=8)
    panel.tick_params(axis="y", length=0, labelleft=False, labelright=True, pad=2)
    for text, label in zip(panel.get_yticklabels(), rows, strict=True):
        text.set_color(_colour(frozenset((label,)), side))
    for spine in panel.spines.values():
        spine.set_visible(False)
    weight = "bold" if drawn.rand == 1 else "normal"
    panel.set_title(f"ARI {drawn.rand:+.2f}", fontsize=8, color=INK, loc="left", pad=2, fontweight=weight)


def _line(panel: Axes, across: tuple[float, float], down: tuple[float, float], colour: str) -> None:
    panel.plot(across, down, color=colour, linewidth=1.5, solid_capstyle="round")


def _members(merged: np.ndarray, labels: int) -> list[Node]:
    members: list[Node] = [frozenset((label,)) for label in range(labels)]
    for first, second, *_ in merged:
        members.append(members[int(first)] | members[int(second)])
    return members


def _rank(node: Node, side: Node) -> tuple[float, int]:
    """Parts with the larger share of the side's labels stand above, then those with the smaller label."""
    return -len(node & side) / len(node), min(node)


def _colour(node: Node, side: Node) -> str:
    if node <= side:
        return SIDE
    return REST if not node & side else MIXED
