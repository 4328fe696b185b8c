"""The arithmetic of verified errors."""

from collections.abc import Mapping, Sequence

import torch

from hiercls.values.certificates import LabelCertificates
from hiercls.values.heads import UNREACHED
from hiercls.values.labels import LabelTree, Node
from hiercls.values.readings import affinity_radius, answer_radius, group_radius
from hiercls.words.errors import DataError
from hiercls_plugins.verified_error.partitions import final_parts, inner_splits, whole_of


def measured(
    tree: LabelTree,
    certificates: LabelCertificates,
    truth: torch.Tensor,
    groups: Sequence[Node],
    budgets: Sequence[float],
) -> Mapping[str, float]:
    """Errors as fractions of the inputs; see `VerifiedError`.

    Args:
        tree: the recipe's.
        truth: (N,) label indices.
        groups: a partition of the labels.
        budgets: positive, so that a radius of 0 never reaches one.

    Raises:
        DataError: there are no inputs.
    """
    if not len(truth):
        raise DataError("verified-error: there are no inputs to measure")
    wrong = certificates.answered_label() != truth
    strayed = _outside(certificates, truth, groups)
    lines = [
        ("verified inter-group error", strayed, _group_radius(certificates, groups)),
        *_intra(tree, certificates, truth, groups),
        ("overall verified error", wrong, answer_radius(certificates).values),
    ]
    found = {"error": _share(wrong), "inter-group error": _share(strayed)}
    for budget in budgets:
        found |= {f"{name} @{budget:g}": _share(failed | (radius < budget)) for name, failed, radius in lines}
    return found


def _intra(
    tree: LabelTree, certificates: LabelCertificates, truth: torch.Tensor, groups: Sequence[Node]
) -> list[tuple[str, torch.Tensor, torch.Tensor]]:
    """The readings inside groups; none where the groups are not the root's children or no split lies below them."""
    splits = inner_splits(tree)
    if not splits or set(groups) != set(tree.children(tree.root)):
        return []
    parts = final_parts(tree)
    strayed = _outside(certificates, truth, parts)
    if certificates.tree.partition() == tree.partition():
        inside = _weakest(certificates, splits)
        everywhere = _weakest(certificates, (tree.root, *splits))
    else:
        inside = _stays(certificates, {part: whole_of(part, groups) for part in parts})
        everywhere = _stays(certificates, dict.fromkeys(parts, tree.root))
    name = "verified intra-group error"
    return [(name, strayed, inside), (f"{name}, root included", strayed, everywhere)]


def _outside(certificates: LabelCertificates, truth: torch.Tensor, parts: Sequence[Node]) -> torch.Tensor:
    """(N,) bool: some label of the answer is in another part than the true label."""
    part_of = torch.empty(len(certificates.tree.labels), dtype=torch.int64)
    for k, part in enumerate(parts):
        part_of[sorted(part)] = k
    others = part_of[None, :] != part_of[truth][:, None]
    return (certificates.members() & others).any(dim=1)


def _group_radius(certificates: LabelCertificates, groups: Sequence[Node]) -> torch.Tensor:
    """Within it the answer stays in its group.

    At the root's own split that is the root's own radius. For any other partition it is the smallest R(j) over the
    labels j outside the group: where each of them is beaten by some label, the largest output lies in the group.
    """
    tree = certificates.tree
    if set(groups) == set(tree.children(tree.root)):
        return group_radius(certificates, 1).values
    return affinity_radius(certificates, groups).values


def _weakest(certificates: LabelCertificates, splits: Sequence[Node]) -> torch.Tensor:
    """The smallest own radius of those splits that each input comes to, (N,); infinite where it comes to none."""
    smallest = torch.full_like(certificates.radii[:, 0], torch.inf)
    for rows in (certificates.nodes[split] for split in splits if split in certificates.nodes):
        smallest = torch.where(rows.chosen == UNREACHED, smallest, torch.minimum(smallest, rows.own))
    return smallest


def _stays(certificates: LabelCertificates, within: Mapping[Node, Node]) -> torch.Tensor:
    """Within it the answer does not move from its part to the rest of the set that holds the part, (N,).

    0 where the answer lies in no one part; infinite where nothing is left of the set.
    """
    radius = torch.zeros_like(certificates.radii[:, 0])
    answered = certificates.members()
    for part, whole in within.items():
        foreign = sorted(certificates.tree.root - part)
        here = ~answered[:, foreign].any(dim=1)
        rest = certificates.radii[:, sorted(whole - part)]
        moved = rest.amin(dim=1) if rest.shape[1] else torch.full_like(radius, torch.inf)
        radius = torch.where(here, moved, radius)
    return radius


def _share(rows: torch.Tensor) -> float:
    return float(rows.double().mean())
