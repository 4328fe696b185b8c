"""The law that composes the certificates of nodes into those of the whole tree."""

from collections.abc import Mapping

import torch

from hiercls.values.certificates import LabelCertificates, NodeCertificates, common_scope
from hiercls.values.heads import UNREACHED
from hiercls.values.labels import LabelTree, Node


def compose(tree: LabelTree, nodes: Mapping[Node, NodeCertificates]) -> LabelCertificates:
    """Targeted certified radii of every label, from the radii on the edges above it.

    A label is answered only if every edge on its path is taken, so one excluded edge excludes it:
    R(label) = max over its path of rho(edge). Edges of nodes without a row count 0.

    Raises:
        NormMismatch: the nodes speak of different norms or views; convert them first with `in_norm`.
        ValueError: the rows are not those of one walk down this tree.
    """
    _require_walk(tree, nodes)
    scope = common_scope(nodes)
    chosen = next(iter(nodes.values())).chosen
    excluded = {tree.root: torch.zeros(len(chosen), dtype=torch.float64)}
    radii = torch.empty(len(tree.labels), len(chosen), dtype=torch.float64)
    for node in tree.decisions:
        above = excluded.pop(node)
        for child, radius in _edges(tree, node, nodes.get(node)):
            lowered = above if radius is None else torch.maximum(above, radius)
            if len(child) == 1:
                radii[next(iter(child))] = lowered
            else:
                excluded[child] = lowered
    path_alpha, joint_alpha = _levels(nodes, chosen)
    return LabelCertificates(tree, nodes, _answers(tree, nodes), radii.T, scope, path_alpha, joint_alpha)


def _require_walk(tree: LabelTree, nodes: Mapping[Node, NodeCertificates]) -> None:
    """Refuse rows that do not follow one another: a node is reached where its parent chose it, and nowhere else."""
    if not nodes or not nodes.keys() <= set(tree.decisions):
        raise ValueError("compose: needs the rows of one or more decisions of this tree, and of nothing else")
    count = len(next(iter(nodes.values())).chosen)
    nobody = torch.zeros(count, dtype=torch.bool)
    reached = {tree.root: ~nobody}
    for node in tree.decisions:
        here, rows = reached.pop(node), nodes.get(node)
        if rows is not None and rows.children != tree.children(node):
            raise ValueError(f"compose: the rows of {tree.name(node)} are not about its children in this tree")
        if rows is not None and not torch.equal(rows.chosen != UNREACHED, here):
            raise ValueError(f"compose: the rows of {tree.name(node)} are not of the inputs that come to it")
        for k, child in enumerate(tree.children(node)):
            if len(child) > 1:
                reached[child] = nobody if rows is None else rows.chosen == k


def _edges(tree: LabelTree, node: Node, rows: NodeCertificates | None) -> list[tuple[Node, torch.Tensor | None]]:
    children = tree.children(node)
    if rows is None:
        return [(child, None) for child in children]
    return list(zip(children, rows.radii.unbind(dim=1), strict=True))


def _answers(tree: LabelTree, nodes: Mapping[Node, NodeCertificates]) -> torch.Tensor:
    """The place in `tuple(tree)` of the deepest decided node of each input."""
    place = {node: k for k, node in enumerate(tree)}
    answer = torch.full_like(next(iter(nodes.values())).chosen, place[tree.root])
    for node in tree.decisions:
        if node not in nodes:
            continue
        chosen = nodes[node].chosen
        answer = torch.where(chosen >= 0, chosen + place[tree.children(node)[0]], answer)
    return answer


def _levels(nodes: Mapping[Node, NodeCertificates], like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The largest and the summed alpha over the random rows on each input's path."""
    largest = torch.zeros(len(like), dtype=torch.float64)
    summed = torch.zeros(len(like), dtype=torch.float64)
    for rows in nodes.values():
        if rows.alpha > 0:
            spent = (rows.chosen != UNREACHED).double() * rows.alpha
            largest = torch.maximum(largest, spent)
            summed += spent
    return largest, summed
