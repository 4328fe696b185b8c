"""What the field asks, read from one vector of radii.

Readings of kind *path* are minima of own radii over the selected path: each holds, one at a time, at the
largest alpha among the path's nodes (an intersection-union test, Berger 1982). Readings of kind *joint*
read several targeted radii at once: they hold at the sum of the alphas of the random rows.
A minimum over nothing is +inf.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import log
from typing import Literal

import torch

from hiercls.values.certificates import LabelCertificates
from hiercls.values.heads import UNREACHED
from hiercls.values.labels import Node
from hiercls.words.errors import ConfigurationError


@dataclass(frozen=True)
class Reading:
    """One answer for every input, with the level at which each holds.

    Attributes:
        values: (N,) or (N, L); radii are float64, sets are bool.
        alpha: the largest failure probability among the inputs.
        kind: how the level arises.
    """

    values: torch.Tensor
    alpha: float
    kind: Literal["path", "joint"]


def answer_radius(certificates: LabelCertificates) -> Reading:
    """Certified radius of the answer; 0 where the answer is not one label."""
    radius = _path_minimum(certificates, certificates.tree.depth)
    return _path(certificates, torch.where(certificates.answered_label() >= 0, radius, 0.0))


def group_radius(certificates: LabelCertificates, level: int) -> Reading:
    """Within it the answer stays in the node at `level` of the selected path: inter-group robustness.

    Level 0 is the root, which no answer leaves: +inf. Where the path ends above `level` at a label, the reading
    is that of the label; where it ends there because a node did not decide, there is no such group: 0.
    """
    tree = certificates.tree
    comes = torch.tensor([len(node) == 1 or tree.level(node) >= level for node in tree])
    radius = _path_minimum(certificates, level)
    return _path(certificates, torch.where(comes[certificates.answer], radius, 0.0))


def certified_node(certificates: LabelCertificates, budget: float) -> Reading:
    """The deepest node of the selected path whose group radius is positive and at least `budget`.

    Returns:
        (N,) int64, places in `tuple(tree)`. One fixed budget needs no correction (a fixed sequence of
        tests); a curve over budgets is marginal at each.
    """
    tree = certificates.tree
    place = {node: k for k, node in enumerate(tree)}
    deepest = torch.full_like(certificates.answer, place[tree.root])
    standing = torch.ones(len(deepest), dtype=torch.bool)
    for node, rows in _on_path(certificates):
        here = rows.chosen != UNREACHED
        standing &= ~here | ((rows.own > 0) & (rows.own >= budget))
        taken = rows.chosen + place[tree.children(node)[0]]
        deepest = torch.where(here & standing & (rows.chosen >= 0), taken, deepest)
    return _path(certificates, deepest)


def label_set(certificates: LabelCertificates, budget: float) -> Reading:
    """S(r): outside it no attacker with this budget can push the answer. It always holds the answer."""
    radii = certificates.radii
    return _joint(certificates, (radii == 0) | (radii < budget))


def never_answered(certificates: LabelCertificates, label: int) -> Reading:
    """R(label): up to this budget it is proved that `label` is not answered."""
    return _joint(certificates, certificates.radii[:, label])


def affinity_radius(certificates: LabelCertificates, sets: Iterable[Node]) -> Reading:
    """Within it the answer stays in one of the given sets that hold it.

    Raises:
        ConfigurationError: a set holds all labels, and so says nothing.
    """
    best = torch.zeros(len(certificates.answer), dtype=torch.float64)
    everything = certificates.tree.root
    for group in sets:
        if group == everything:
            raise ConfigurationError("affinity: a set of all labels says nothing; leave it out")
        members = sorted(group)
        outside = sorted(everything - group)
        holds = certificates.members()[:, outside].any(dim=1).logical_not()
        if members:
            radius = certificates.radii[:, outside].amin(dim=1)
            best = torch.where(holds, torch.maximum(best, radius), best)
    return _joint(certificates, best)


def at_most(certificates: LabelCertificates, count: int) -> Reading:
    """Within it at most `count` different labels can be answered: the (count + 1)-th smallest R.

    +inf where `count` is at least the number of labels.
    """
    if count >= certificates.radii.shape[1]:
        return _joint(certificates, torch.full_like(certificates.radii[:, 0], torch.inf))
    return _joint(certificates, certificates.radii.kthvalue(count + 1, dim=1).values)


def information_gain(certificates: LabelCertificates, budget: float, truth: torch.Tensor) -> Reading:
    """Certified information gain of each input: 1[truth in S(r)] (1 - ln|S(r)| / ln L).

    L is the number of labels; reports print the mean over inputs (after AdaptiveCertify, ICML 2024).
    """
    sets = label_set(certificates, budget).values
    holds = sets.gather(1, truth[:, None]).squeeze(1)
    gain = 1 - sets.sum(dim=1).double().log() / log(sets.shape[1])
    return _joint(certificates, torch.where(holds, gain, 0.0))


def _path_minimum(certificates: LabelCertificates, level: int) -> torch.Tensor:
    smallest = torch.full_like(certificates.radii[:, 0], torch.inf)
    for node, rows in _on_path(certificates):
        if certificates.tree.level(node) < level:
            smallest = torch.where(rows.chosen != UNREACHED, torch.minimum(smallest, rows.own), smallest)
    return smallest


def _on_path(certificates: LabelCertificates):
    return [(node, certificates.nodes[node]) for node in certificates.tree.decisions if node in certificates.nodes]


def _path(certificates: LabelCertificates, values: torch.Tensor) -> Reading:
    return Reading(values, _largest(certificates.path_alpha), "path")


def _joint(certificates: LabelCertificates, values: torch.Tensor) -> Reading:
    return Reading(values, _largest(certificates.joint_alpha), "joint")


def _largest(levels: torch.Tensor) -> float:
    return float(levels.max()) if len(levels) else 0.0
