"""Attack the radii of one system, and say whether what was found breaks its certificates."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from scipy.stats import binom

from hiercls.contracts.components import Attack, Goal
from hiercls.contracts.context import Context
from hiercls.values.certificates import NodeCertificates
from hiercls.values.draws import Purpose
from hiercls.values.heads import ABSTAIN, Head
from hiercls.values.labels import Node
from hiercls.values.perturbations import diameter, distance, within
from hiercls.values.views import Inputs
from hiercls.whole.classifier import Classifier, Deployed

FLIP_LEVEL = 1e-6
FARTHEST = 1e3
"""How far an infinite radius is attacked on an unbounded domain."""

Claim = Literal["own", "targeted"]


@dataclass(frozen=True)
class Case:
    """Radii of one kind at one node, and what would break them.

    Attributes:
        claim: own radii forbid any other child (and, of a deterministic node, no answer); targeted ones one child.
        rows: the inputs that are attacked, places in the node's rows.
        radius: (rows,) what is claimed.
    """

    claim: Claim
    rows: torch.Tensor
    goal: Goal
    radius: torch.Tensor


@dataclass(frozen=True)
class Flip:
    """A perturbation inside a certified radius that makes a node choose an excluded child."""

    index: int
    node: str
    child: str
    claim: Claim
    radius: float
    distance: float
    random: bool


@dataclass(frozen=True)
class SystemAudit:
    """The audit of one system.

    Attributes:
        inputs: how many inputs were audited.
        radii: how many positive radii were attacked.
        level: the largest joint level of an input's random rows; 0 for deterministic systems.
        flips: what was found.
        tolerated: how many inputs with a flip at random nodes the level explains, at 1e-6, for own radii and for
            targeted ones.
        broken: whether the certificates are broken.
    """

    inputs: int
    radii: int
    level: float
    flips: tuple[Flip, ...]
    tolerated: int
    broken: bool


def audit_system(
    classifier: Classifier,
    inputs: Inputs,
    nodes: Mapping[Node, NodeCertificates],
    level: float,
    attack: Attack,
    context: Context,
) -> SystemAudit:
    """Attack the own and the targeted radii of every node's rows."""
    claimed = [(node, case) for node in classifier.tree.decisions for case in _claimed(classifier, node, inputs, nodes)]
    total = sum(len(case.rows) for _, case in claimed)
    flips: list[Flip] = []
    attacked = 0
    for node, case in claimed:
        context.progress(attacked, total, verb="audit", system=classifier.system.name)
        deployed, rows = classifier.nodes[node], nodes[node]
        for k, child, length in successes(deployed, inputs[case.rows], case, attack, context):
            name = "no answer" if child == ABSTAIN else classifier.tree.name(rows.children[child])
            index, radius = int(inputs.index[case.rows[k]]), float(case.radius[k])
            flip = Flip(index, classifier.tree.name(node), name, case.claim, radius, length, deployed.random)
            flips.append(flip)
        attacked += len(case.rows)
    if total:
        context.progress(total, total, verb="audit", system=classifier.system.name)
    tolerated = int(binom.ppf(1 - FLIP_LEVEL, len(inputs), level)) if level else 0
    return SystemAudit(len(inputs), attacked, level, tuple(flips), tolerated, _broken(flips, tolerated))


def _claimed(
    classifier: Classifier, node: Node, inputs: Inputs, nodes: Mapping[Node, NodeCertificates]
) -> Iterator[Case]:
    """The cases of a node whose certifier can be attacked."""
    deployed, rows = classifier.nodes[node], nodes[node]
    if deployed.in_reach and deployed.certifier is not None:
        yield from cases(classifier.head(node), rows, inputs.allowed_children(rows.children))


def _broken(flips: list[Flip], tolerated: int) -> bool:
    """One flip at a deterministic node, or at random ones more inputs than the level of one kind of claim explains."""
    if any(not flip.random for flip in flips):
        return True
    return any(len({flip.index for flip in flips if flip.claim == claim}) > tolerated for claim in ("own", "targeted"))


def cases(head: Head, rows: NodeCertificates, allowed: torch.Tensor | None) -> Iterator[Case]:
    """What is attacked: any other child within the own radius, and each child within a larger radius of its own.

    Args:
        allowed: (N, children) bool; a child without an allowed label cannot be chosen and is not attacked.
    """
    count = len(rows.children)
    others = torch.ones(len(rows.chosen), count, dtype=torch.bool) if allowed is None else allowed.clone()
    decided = rows.chosen >= 0
    others[decided, rows.chosen[decided]] = False
    own = ((rows.own > 0) & others.any(dim=1)).nonzero().squeeze(1)
    if len(own):
        yield Case("own", own, Goal(head, others[own]), rows.own[own])
    for child in range(count):
        farther = (others[:, child] & (rows.radii[:, child] > rows.own)).nonzero().squeeze(1)
        if len(farther):
            targets = torch.zeros(len(farther), count, dtype=torch.bool)
            targets[:, child] = True
            yield Case("targeted", farther, Goal(head, targets), rows.radii[farther, child])


def successes(
    deployed: Deployed, inputs: Inputs, case: Case, attack: Attack, context: Context
) -> list[tuple[int, int, float]]:
    """Place among the case's rows, child (or ABSTAIN) and distance of each success, by deciding again.

    A random node's decision counts where fresh draws prove it at 1e-6, divided by the cases of the node, which share
    those draws.
    """
    threat = context.threat
    clean = inputs.views[deployed.view]
    reach = diameter(threat.domain, threat.norm, clean[0].numel()) if threat.domain.bounded else FARTHEST
    budget = case.radius.clamp_max(reach)
    moved = attack.perturb(deployed.prover, inputs, case.goal, budget, context)
    moved = within(moved, clean, budget, threat.norm, threat.domain)
    level = FLIP_LEVEL / (len(case.goal.head.children) + 1) if deployed.random else None
    decided = deployed.prover.decide(inputs.with_view(deployed.view, moved), Purpose.AUDIT, level)[case.goal.head]
    hit = (decided >= 0) & case.goal.targets.gather(1, decided.clamp_min(0)[:, None]).squeeze(1)
    if case.claim == "own" and not deployed.random:
        hit |= decided == ABSTAIN
    lengths = distance(moved, clean, threat.norm)
    return [(k, int(decided[k]), float(lengths[k])) for k in hit.nonzero().squeeze(1).tolist()]
