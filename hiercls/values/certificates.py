"""Certificates of one node, and of the whole tree: targeted certified radii."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from hiercls.values.heads import ABSTAIN, UNREACHED
from hiercls.values.labels import LabelTree, Node
from hiercls.words.errors import NormMismatch
from hiercls.words.norms import Norm, radius_factor
from hiercls.words.threats import Domain


@dataclass(frozen=True)
class Scope:
    """What a certificate speaks of: perturbations of one view, measured in one norm, inside one domain.

    Attributes:
        norm: the norm of the radii as they stand.
        view: the view that the adversary perturbs.
        domain: the perturbed inputs of which the claim speaks.
        proved_in: the norm in which the theorem gave the radius, kept through conversions.
    """

    norm: Norm
    view: str
    domain: Domain
    proved_in: Norm | None = None


@dataclass(frozen=True)
class NodeCertificates:
    """The certificates of one node for N inputs: it does not choose child c within `radii[:, c]`.

    Attributes:
        children: the node's children; columns of `radii` are in this order.
        chosen: (N,) int64, the child decided for each input, ABSTAIN or UNREACHED.
        own: (N,) float64, no perturbation within it makes the node choose another child; valid at `alpha`.
        radii: (N, children) float64, targeted radii, valid together at `alpha`; 0 is no claim.
        alpha: the probability that a row may be wrong; 0 for deterministic proofs.
        scope: the view, norm and domain of which the radii speak.
    """

    children: tuple[Node, ...]
    chosen: torch.Tensor
    own: torch.Tensor
    radii: torch.Tensor
    alpha: float
    scope: Scope

    def __post_init__(self) -> None:
        count = len(self.chosen)
        if self.own.shape != (count,) or self.radii.shape != (count, len(self.children)):
            raise ValueError("certificates: own is (N,), radii (N, children)")
        if self.own.dtype != torch.float64 or self.radii.dtype != torch.float64:
            raise ValueError("certificates: radii are float64")
        if not (bool((self.own >= 0).all()) and bool((self.radii >= 0).all())):
            raise ValueError("certificates: a radius is never negative and never NaN")
        decided = self.chosen >= 0
        taken = self.radii.gather(1, self.chosen.clamp_min(0)[:, None]).squeeze(1)
        if bool((decided & (taken != 0)).any()):
            raise ValueError("certificates: the radius of the chosen child is 0")
        if bool((~decided & (self.own != 0)).any()):
            raise ValueError("certificates: a node that did not decide has no radius of its own")
        claims = (self.radii != 0) & self.radii.isfinite()
        if bool((claims & ~decided[:, None]).any()):
            raise ValueError("certificates: a node that did not decide proves nothing about its allowed children")

    def in_norm(self, norm: Norm, entries: int) -> "NodeCertificates":
        """The same certificates in another norm, rounded down; `entries` are those of the raw view."""
        if norm == self.scope.norm:
            return self
        factor = radius_factor(self.scope.norm, norm, entries)
        scope = replace(self.scope, norm=norm, proved_in=self.scope.proved_in or self.scope.norm)
        return replace(self, own=_scaled(self.own, factor), radii=_scaled(self.radii, factor), scope=scope)


def _scaled(radii: torch.Tensor, factor: float) -> torch.Tensor:
    if factor == 1.0:
        return radii
    return closed(radii * factor)


def closed(radii: torch.Tensor) -> torch.Tensor:
    """The largest float64 below each positive finite radius: a closed ball inside an open one."""
    lowered = torch.nextafter(radii, torch.zeros_like(radii))
    return torch.where(radii.isfinite(), lowered, radii).clamp_min(0.0)


def others(radii: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """The smallest radius over the children that were not chosen, 0 where nothing was decided, (N,)."""
    masked = radii.clone()
    decided = chosen >= 0
    masked[decided, chosen[decided]] = torch.inf
    return torch.where(decided, masked.amin(dim=1), 0.0)


def uncertified(children: tuple[Node, ...], chosen: torch.Tensor, scope: Scope) -> NodeCertificates:
    """Rows of a node that nothing certifies: every radius is 0."""
    radii = torch.zeros(len(chosen), len(children), dtype=torch.float64)
    return NodeCertificates(children, chosen, radii[:, 0].clone(), radii, 0.0, scope)


def out_of_reach(
    children: tuple[Node, ...], chosen: torch.Tensor, confirmed: torch.Tensor, alpha: float, scope: Scope
) -> NodeCertificates:
    """Rows of a node on a view that the adversary cannot touch: its decision cannot be moved.

    Args:
        confirmed: (N,) bool, whether the decision is known at `alpha`; always for deterministic nodes.
            A smoothed node's decision is confirmed by a test on fresh draws; without it, no claim.
    """
    certain = confirmed & (chosen >= 0)
    radii = torch.zeros(len(chosen), len(children), dtype=torch.float64)
    radii[certain] = torch.inf
    radii[certain, chosen[certain]] = 0.0
    own = torch.where(certain, torch.inf, 0.0).double()
    return NodeCertificates(children, chosen, own, radii, alpha, scope)


def with_allowed(rows: NodeCertificates, allowed: torch.Tensor | None, in_reach: bool) -> NodeCertificates:
    """Rows of a node that decides among allowed children only, (N, children) bool.

    A child without an allowed label is never chosen: its radius is infinite, and where one child is
    left the node cannot choose another. If the adversary can touch the view that gives `allowed`,
    nothing at all is certified.
    """
    if allowed is None:
        return rows
    if in_reach:
        return uncertified(rows.children, rows.chosen, rows.scope)
    radii = torch.where(allowed, rows.radii, torch.inf)
    alone = (allowed.sum(dim=1) == 1) & (rows.chosen >= 0)
    return replace(rows, radii=radii, own=torch.where(alone, torch.inf, rows.own))


@dataclass(frozen=True)
class LabelCertificates:
    """The certificates of an assembled classifier for N inputs: label l is not answered within `radii[:, l]`.

    Attributes:
        tree: the tree whose labels these are.
        nodes: the certificates of its nodes, from which path readings take their own radii.
        answer: (N,) int64, the place in `tuple(tree)` of the deepest node that was decided.
        radii: (N, L) float64, R(l | x).
        scope: the common view, norm and domain.
        path_alpha: (N,) the level of one path reading: the largest alpha on the selected path.
        joint_alpha: (N,) the level of a joint reading: the sum of the alphas on the selected path.
    """

    tree: LabelTree
    nodes: Mapping[Node, NodeCertificates]
    answer: torch.Tensor
    radii: torch.Tensor
    scope: Scope
    path_alpha: torch.Tensor
    joint_alpha: torch.Tensor

    def answered_label(self) -> torch.Tensor:
        """(N,) int64: the label answered, ABSTAIN where the answer is a set of several labels."""
        order = tuple(self.tree)
        single = torch.tensor([next(iter(node)) if len(node) == 1 else ABSTAIN for node in order])
        return single[self.answer]

    def members(self) -> torch.Tensor:
        """(N, L) bool: the label set that was answered."""
        table = torch.zeros(len(tuple(self.tree)), len(self.tree.labels), dtype=torch.bool)
        for place, node in enumerate(self.tree):
            table[place, sorted(node)] = True
        return table[self.answer]


def common_scope(nodes: Mapping[Node, NodeCertificates]) -> Scope:
    """The one norm and view of all nodes, and the intersection of their domains.

    Raises:
        NormMismatch: the nodes speak of different norms or views; convert them first with `in_norm`.
    """
    scopes = [rows.scope for rows in nodes.values()]
    if len({(scope.norm, scope.view) for scope in scopes}) != 1:
        found = ", ".join(sorted({f"{scope.norm} on {scope.view}" for scope in scopes}))
        raise NormMismatch(f"compose: the nodes speak of {found}; convert them to one norm and view first")
    domain = scopes[0].domain
    for scope in scopes[1:]:
        domain = domain.intersect(scope.domain)
    proved = {scope.proved_in for scope in scopes}
    return replace(scopes[0], domain=domain, proved_in=proved.pop() if len(proved) == 1 else None)


__all__ = ["ABSTAIN", "UNREACHED", "LabelCertificates", "NodeCertificates", "Scope"]
