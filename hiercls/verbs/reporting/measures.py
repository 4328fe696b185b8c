"""What a report measures on the certificates of one system."""

from dataclasses import dataclass
from functools import cached_property
from math import log

import torch

from hiercls.values.labels import LabelTree, Node
from hiercls.values.readings import (
    Reading,
    affinity_radius,
    answer_radius,
    group_radius,
    information_gain,
    label_set,
)
from hiercls.verbs.reporting.findings import Findings, System
from hiercls.verbs.reporting.rounding import Share


@dataclass(frozen=True, eq=False)
class Tier:
    """One way for an answer to be right: in the group of the truth at a level, or the label itself.

    Attributes:
        level: of the groups; None for the label.
        groups: how many groups there are at that level.
        correct: (N,) bool, whether the answer lies in the group of the truth.
        radius: within it the answer stays in its group.
    """

    level: int | None
    groups: int
    correct: torch.Tensor
    radius: Reading

    def clean(self) -> Share:
        return share_of(self.correct)

    def certified(self, budget: float) -> Share:
        """The inputs whose answer is right and stays so within the budget; radius 0 is no claim."""
        return share_of(self.holds(budget))

    def holds(self, budget: float) -> torch.Tensor:
        """(N,) bool: right, and proved to stay so within the budget."""
        radius = self.radius.values
        return self.correct & (radius > 0) & (radius >= budget)

    @property
    def name(self) -> str:
        return "label" if self.level is None else f"level {self.level}"


def tiers(system: System, tree: LabelTree) -> tuple[Tier, ...]:
    """The levels of `tree` from coarse to fine, the label last, as one system reaches them.

    A system with another tree, such as a flat baseline, is held to the same groups: its answer stays in
    group G within the smallest R(l) over the labels outside G, a joint reading.
    """
    own = system.tree.partition() == tree.partition()
    coarse = [_group_tier(system, tree, level, own) for level in range(1, tree.depth)]
    correct = system.certificates.answered_label() == system.truth
    return (*coarse, Tier(None, len(tree.labels), correct, answer_radius(system.certificates)))


def groups_at(tree: LabelTree, level: int) -> tuple[Node, ...]:
    """The partition of the labels at a level: its nodes, and the single labels that ended above it."""
    return tuple(node for node in tree if tree.level(node) == level or (len(node) == 1 and tree.level(node) < level))


def _group_tier(system: System, tree: LabelTree, level: int, own: bool) -> Tier:
    groups = groups_at(tree, level)
    certificates = system.certificates
    radius = group_radius(certificates, level) if own else affinity_radius(certificates, groups)
    return Tier(level, len(groups), _answers_in_group(system, groups), radius)


def _answers_in_group(system: System, groups: tuple[Node, ...]) -> torch.Tensor:
    """(N,) bool: the whole answer lies in the one group that holds the truth."""
    place = torch.empty(len(system.tree.labels), dtype=torch.int64)
    for number, group in enumerate(groups):
        place[sorted(group)] = number
    foreign = place[None, :] != place[system.truth][:, None]
    return ~(system.certificates.members() & foreign).any(dim=1)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What is left of one system's answers under one budget; budget 0 is no adversary at all."""

    system: System
    budget: float

    @cached_property
    def sets(self) -> torch.Tensor:
        """(N, L) bool: the labels that can still be answered."""
        if self.budget == 0:
            return self.system.certificates.members()
        return label_set(self.system.certificates, self.budget).values

    def mean_size(self) -> float | None:
        return mean(self.sets.sum(dim=1).double())

    def holds_truth(self) -> Share:
        return share_of(self.sets.gather(1, self.system.truth[:, None]).squeeze(1))

    def gain(self) -> float | None:
        """Mean certified information gain (after AdaptiveCertify, ICML 2024)."""
        if self.budget > 0:
            return mean(information_gain(self.system.certificates, self.budget, self.system.truth).values)
        holds = self.sets.gather(1, self.system.truth[:, None]).squeeze(1)
        gain = 1 - self.sets.sum(dim=1).double().log() / log(self.sets.shape[1])
        return mean(torch.where(holds, gain, 0.0))

    def at_most(self, size: int) -> Share:
        """The inputs with at most `size` possible labels."""
        return share_of(self.sets.sum(dim=1) <= size)

    @cached_property
    def confusions(self) -> torch.Tensor:
        """(L, L) int64: how many inputs of each true label (rows) can be answered as each label (columns)."""
        return _by_truth(self.system, self.sets.long())


def totals(system: System) -> torch.Tensor:
    """(L,) int64: the inputs of each true label."""
    return torch.bincount(system.truth, minlength=len(system.tree.labels))


def targeted(system: System) -> torch.Tensor:
    """Median R(label | x) over the inputs of each true label (rows), for each label (columns).

    The lower median: at least half of those inputs are proved not to be answered so within it. It needs no
    exception for infinite radii.

    Returns:
        (L, L) float64; rows of labels without inputs are 0.
    """
    radii = system.certificates.radii
    medians = torch.zeros(radii.shape[1], radii.shape[1], dtype=torch.float64)
    for label in system.truth.unique().tolist():
        medians[label] = radii[system.truth == label].median(dim=0).values
    return medians


def joint_alpha(system: System) -> float:
    levels = system.certificates.joint_alpha
    return float(levels.max()) if len(levels) else 0.0


def outcomes(findings: Findings, budget: float) -> tuple[Outcome, ...]:
    return tuple(Outcome(system, budget) for system in findings.systems)


def _by_truth(system: System, rows: torch.Tensor) -> torch.Tensor:
    labels = rows.shape[1]
    return torch.zeros(labels, labels, dtype=rows.dtype).index_add_(0, system.truth, rows)


def share_of(holds: torch.Tensor) -> Share:
    return Share(int(holds.sum()), len(holds))


def mean(values: torch.Tensor) -> float | None:
    """The mean of some values; None where there are none."""
    return float(values.double().mean()) if len(values) else None
