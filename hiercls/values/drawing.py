"""Trees for the eye and for the disk: text, mermaid, SVG and JSON."""

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from hiercls.values.labels import LabelTree, Node, grow
from hiercls.words.errors import DataError


def as_text(tree: LabelTree) -> str:
    """One line a node, indented by level, without a newline at the end.

    >>> from hiercls.values.groups import tree_from_groups
    >>> print(as_text(tree_from_groups(["cat", "dog", "ship"], {"pets": ["cat", "dog"], "boats": "ship"})))
    root
    ├─ pets
    │  ├─ cat
    │  └─ dog
    └─ boats: ship
    """
    lines = []
    waiting = [(tree.root, "", "")]
    while waiting:
        node, prefix, indent = waiting.pop()
        lines.append(prefix + caption(tree, node))
        children = tree.children(node)
        for child in reversed(children):
            last = child is children[-1]
            waiting.append((child, indent + ("└─ " if last else "├─ "), indent + ("   " if last else "│  ")))
    return "\n".join(lines)


def caption(tree: LabelTree, node: Node) -> str:
    """A node's name and, for a leaf with a name of its own, its label; unnamed groups give their number of labels."""
    name = tree.name(node)
    if len(node) == 1:
        label = tree.labels[next(iter(node))]
        return name if name == label else f"{name}: {label}"
    return name if node in tree.names or node == tree.root else f"{len(node)} labels"


def as_mermaid(tree: LabelTree) -> str:
    """A mermaid flowchart, from left to right."""
    place = {node: k for k, node in enumerate(tree)}
    lines = ["flowchart LR"]
    for node, k in place.items():
        text = "".join(f"#{ord(sign)};" if sign in '"#&<>`' else sign for sign in caption(tree, node))
        lines.append(f'    n{k}(["{text}"])' if len(node) == 1 else f'    n{k}["{text}"]')
    lines += [f"    n{place[node]} --> n{place[child]}" for node in tree.decisions for child in tree.children(node)]
    return "\n".join(lines)


def as_json(tree: LabelTree) -> str:
    """The tree with its names, as stored in a run; `from_json` reads it back exactly.

    `nodes` lists every node once, parents first: its labels by index, the place of its parent, and its own
    name where it has one.
    """
    place = {node: k for k, node in enumerate(tree)}
    nodes = [json.dumps(_entry(tree, node, place), ensure_ascii=False) for node in tree]
    labels = json.dumps(list(tree.labels), ensure_ascii=False)
    return f'{{"labels": {labels},\n "nodes": [\n  ' + ",\n  ".join(nodes) + "\n ]}\n"


def _entry(tree: LabelTree, node: Node, place: Mapping[Node, int]) -> dict[str, Any]:
    parent = tree.parent(node)
    entry: dict[str, Any] = {"labels": sorted(node), "parent": None if parent is None else place[parent]}
    return entry | {"name": tree.names[node]} if node in tree.names else entry


def from_json(text: str) -> LabelTree:
    """The tree that `as_json` wrote.

    Raises:
        DataError: the text is not a stored tree.
        ConfigurationError: it is one, of a tree that cannot be.
    """
    try:
        stored = json.loads(text)
        labels = [str(label) for label in stored["labels"]]
        nodes = [frozenset(int(label) for label in entry["labels"]) for entry in stored["nodes"]]
        children: dict[Node, list[Node]] = {}
        names: dict[Node, str] = {}
        for node, entry in zip(nodes, stored["nodes"], strict=True):
            if entry["parent"] is not None:
                children.setdefault(nodes[entry["parent"]], []).append(node)
            if "name" in entry:
                names[node] = str(entry["name"])
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise DataError(f"tree.json: not a stored tree ({type(error).__name__}: {error})") from None
    return grow(labels, children, names)


ROW, GAP, MARGIN, LETTER = 22.0, 44.0, 16.0, 7.4
"""Pixels: the height of a row, the room between columns, the margin, the width of a letter at 13 pixels."""


def as_svg(tree: LabelTree) -> str:
    """A drawing that needs nothing beside itself: the root at the left, one row a label, groups at their middle.

    It takes the colour of the text around it; hovering over a group names its labels.
    """
    left = _columns(tree)
    rows = _rows(tree)
    at = {node: (left[tree.level(node)], MARGIN + ROW * (rows[node] + 0.5)) for node in tree}
    width = max(at[node][0] + _width(tree, node) for node in tree) + MARGIN
    height = 2 * MARGIN + ROW * len(tree.labels)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
            f'height="{height:.0f}" role="img" font-family="sans-serif" font-size="13" fill="currentColor">',
            f"<title>{escape(tree.name(tree.root))}, {len(tree.labels)} labels</title>",
            f'<path d="{_edges(tree, at)}" fill="none" stroke="currentColor" stroke-opacity="0.4"/>',
            *(_mark(tree, node, *at[node]) for node in tree),
            "</svg>\n",
        ]
    )


def _columns(tree: LabelTree) -> list[float]:
    """Where each level begins: behind the widest group of the level before it."""
    widest = [0.0] * (tree.depth + 1)
    for node in tree.decisions:
        widest[tree.level(node)] = max(widest[tree.level(node)], _width(tree, node))
    left = [MARGIN]
    for width in widest[:-1]:
        left.append(left[-1] + width + GAP)
    return left


def _rows(tree: LabelTree) -> dict[Node, float]:
    """The row of every leaf, in the order of the drawing, and the middle row of every group."""
    rows: dict[Node, float] = {}
    waiting = [tree.root]
    while waiting:
        node = waiting.pop()
        if len(node) == 1:
            rows[node] = float(len(rows))
        waiting += reversed(tree.children(node))
    for node in reversed(tree.decisions):
        children = tree.children(node)
        rows[node] = (rows[children[0]] + rows[children[-1]]) / 2
    return rows


def _width(tree: LabelTree, node: Node) -> float:
    return LETTER * len(caption(tree, node)) + 16


def _edges(tree: LabelTree, at: Mapping[Node, tuple[float, float]]) -> str:
    """All edges as one path, so that edges that share a stretch are no darker there."""
    return "".join(
        _edge(at[node][0] + _width(tree, node), at[node][1], *at[child])
        for node in tree.decisions
        for child in tree.children(node)
    )


def _edge(x: float, y: float, end: float, below: float) -> str:
    bend = end - GAP / 2
    return f"M{x:.1f} {y:.1f}H{bend - 8:.1f}C{bend + 6:.1f} {y:.1f} {bend - 6:.1f} {below:.1f} {end:.1f} {below:.1f}"


def _mark(tree: LabelTree, node: Node, x: float, y: float) -> str:
    text = escape(caption(tree, node))
    if len(node) == 1:
        return f'<text x="{x + 5:.1f}" y="{y + 4.5:.1f}">{text}</text>'
    members = escape(", ".join(tree.labels[label] for label in sorted(node)))
    return (
        f'<g><title>{members}</title><rect x="{x:.1f}" y="{y - 9.5:.1f}" width="{_width(tree, node):.1f}" height="19" '
        f'rx="5" fill-opacity="0.07" stroke="currentColor" stroke-opacity="0.4"/>'
        f'<text x="{x + _width(tree, node) / 2:.1f}" y="{y + 4.5:.1f}" text-anchor="middle">{text}</text></g>'
    )
