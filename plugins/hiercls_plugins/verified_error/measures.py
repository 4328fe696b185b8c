"""The arithmetic of verified errors."""

from collections.abc import Mapping, Sequence

import torch

from hiercls.values.certificates import LabelCertificates
from hiercls.values.labels import LabelTree, Node
from hiercls.values.readings import affinity_radius, answer_radius, group_radius
from hiercls.words.errors import ConfigurationError, DataError


def measured(
    certificates: LabelCertificates, truth: torch.Tensor, groups: Sequence[Node], budgets: Sequence[float]
) -> Mapping[str, float]:
    """Errors as fractions of the inputs; see `VerifiedError`.

    Args:
        truth: (N,) label indices.
        budgets: positive, so that a radius of 0 never reaches one.

    Raises:
        DataError: there are no inputs.
    """
    if not len(truth):
        raise DataError("verified-error: there are no inputs to measure")
    wrong = certificates.answered_label() != truth
    strayed = _outside_group(certificates, truth, groups)
    answer, group = answer_radius(certificates).values, _group_radius(certificates, groups)
    found = {"error": _share(wrong), "inter-group error": _share(strayed)}
    for budget in budgets:
        found[f"verified error @{budget:g}"] = _share(wrong | (answer < budget))
        found[f"verified inter-group error @{budget:g}"] = _share(strayed | (group < budget))
    return found


def partition(tree: LabelTree, groups: Sequence[Sequence[str]] | None) -> tuple[Node, ...]:
    """The groups as label sets, the root's children where none are given.

    Raises:
        ConfigurationError: a label is unknown, missing or in two groups.
    """
    if groups is None:
        return tree.children(tree.root)
    place = {label: k for k, label in enumerate(tree.labels)}
    named = [label for group in groups for label in group]
    unknown = sorted(set(named) - set(place))
    missing = sorted(set(place) - set(named))
    twice = sorted({label for label in named if named.count(label) > 1})
    for fault, names in (("no label of this dataset", unknown), ("in no group", missing), ("in two groups", twice)):
        if names:
            raise ConfigurationError(f"verified-error.groups: {names[0]!r} is {fault}; every label is in exactly one")
    return tuple(frozenset(place[label] for label in group) for group in groups if group)


def _outside_group(certificates: LabelCertificates, truth: torch.Tensor, groups: Sequence[Node]) -> torch.Tensor:
    """(N,) bool: some label of the answer is in another group than the true label."""
    group_of = torch.empty(len(certificates.tree.labels), dtype=torch.int64)
    for k, group in enumerate(groups):
        group_of[sorted(group)] = k
    others = group_of[None, :] != group_of[truth][:, None]
    return (certificates.members() & others).any(dim=1)


def _group_radius(certificates: LabelCertificates, groups: Sequence[Node]) -> torch.Tensor:
    """Within it the answer stays in its group.

    At the root's own split that is the root's own radius; for any other partition every label outside the
    group must be excluded.
    """
    tree = certificates.tree
    if set(groups) == set(tree.children(tree.root)):
        return group_radius(certificates, 1).values
    return affinity_radius(certificates, groups).values


def _share(rows: torch.Tensor) -> float:
    return float(rows.double().mean())
