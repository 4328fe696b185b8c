"""The assembled classifier: deployed networks that decide, prove and are attacked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from hiercls.contracts.components import Certifier
from hiercls.contracts.context import Context
from hiercls.contracts.pointwise import Pointwise
from hiercls.contracts.provers import Prover
from hiercls.values.draws import Purpose
from hiercls.values.heads import UNREACHED, Head
from hiercls.values.labels import LabelTree, Node
from hiercls.values.views import Inputs
from hiercls.whole.networks import Networks
from hiercls.whole.plan import System, identity
from hiercls.words.errors import ConfigurationError
from hiercls.words.norms import LINF
from hiercls.words.threats import EVERYWHERE


class Undefended(Pointwise):
    """A network that decides and proves nothing: every radius is 0, in any norm."""

    norm = LINF

    def radii(self, network: torch.nn.Module, head: Head, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(x), len(head.children), dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class Deployed:
    """One prover and what it stands for.

    Attributes:
        certifier: None for a network that nothing certifies.
        in_reach: whether the adversary can touch the view that it reads.
        architecture: what its network computes: equal weights may mean another function.
        weights: the SHA-256 of its network's weights; of a composed network, of those of all its networks.
        shape: one example of its view.
    """

    job: str
    certifier: Certifier | None
    view: str
    in_reach: bool
    architecture: Mapping[str, Any]
    weights: str
    heads: tuple[Head, ...]
    prover: Prover
    context: Context
    shape: tuple[int, ...]

    @property
    def random(self) -> bool:
        return self.certifier is not None and self.certifier.random

    def identity(self) -> dict[str, Any]:
        """All that its proofs depend on, for a key."""
        certifier = self.certifier
        arithmetic = dict(certifier.arithmetic(self.context.device)) if certifier else {"device": self.context.device}
        return {
            "architecture": self.architecture,
            "weights": self.weights,
            "certifier": None if certifier is None else identity(certifier),
            "heads": [
                [[sorted(child) for child in head.children], [list(outputs) for outputs in head.outputs]]
                for head in self.heads
            ],
            "alpha": self.context.alpha if self.random else 0,
            "threat": self.context.threat.identity(),
            "view": [self.view, list(self.shape)],
            "arithmetic": arithmetic,
            "seed": self.context.seed if self.random else None,
        }


@dataclass(frozen=True, eq=False)
class Classifier:
    """One system, assembled: for every node the deployed network that decides there."""

    system: System
    nodes: Mapping[Node, Deployed]

    @property
    def tree(self) -> LabelTree:
        return self.system.tree

    def head(self, node: Node) -> Head:
        return self.system.nodes[node].head

    def decide(self, inputs: Inputs, purpose: Purpose, alpha: float | None = None) -> dict[Node, torch.Tensor]:
        """Walk every input down the tree: the child taken at each node, ABSTAIN or UNREACHED, (N,)."""
        known: dict[int, dict[Head, torch.Tensor]] = {}

        def at(node: Node, rows: torch.Tensor) -> torch.Tensor:
            deployed = self.nodes[node]
            answers = known.setdefault(id(deployed), _blank(deployed.heads, len(inputs)))
            head = self.head(node)
            missing = rows[answers[head][rows] == UNREACHED]
            if len(missing):
                for each, found in deployed.prover.decide(inputs[missing], purpose, alpha).items():
                    answers[each][missing] = found
            return answers[head][rows]

        return walk(self.tree, at, len(inputs))


def walk(tree: LabelTree, decide: Callable[[Node, torch.Tensor], torch.Tensor], count: int) -> dict[Node, torch.Tensor]:
    """Follow `decide(node, rows)` from the root; rows that do not come to a node are UNREACHED there."""
    rows_at = {tree.root: torch.arange(count)}
    decided = {}
    for node in tree.decisions:
        rows = rows_at.pop(node)
        chosen = torch.full((count,), UNREACHED)
        if len(rows):
            chosen[rows] = decide(node, rows)
        for k, child in enumerate(tree.children(node)):
            rows_at[child] = rows[chosen[rows] == k]
        decided[node] = chosen
    return decided


def _blank(heads: Sequence[Head], count: int) -> dict[Head, torch.Tensor]:
    return {head: torch.full((count,), UNREACHED) for head in heads}


def assemble(systems: Sequence[System], networks: Networks, context: Context, joint: bool) -> tuple[Classifier, ...]:
    """Deploy every network once for all decisions that it serves, and assemble the systems from them.

    Args:
        joint: divide alpha by the largest number of smoothed nodes on any path, so that readings that
            take several rows together hold at alpha.
    """
    if joint:
        context = replace(context, alpha=context.alpha / max(1, *(_most_random(system) for system in systems)))
    served: dict[tuple[str, Certifier | None], list[Head]] = {}
    for system in systems:
        for placement in system.nodes.values():
            heads = served.setdefault((placement.job, placement.certifier), [])
            if placement.head not in heads:
                heads.append(placement.head)
    views = {(p.job, p.certifier): p.view for system in systems for p in system.nodes.values()}
    deployed = {key: _deployed(*key, views[key], tuple(heads), networks, context) for key, heads in served.items()}
    return tuple(
        Classifier(system, {node: deployed[p.job, p.certifier] for node, p in system.nodes.items()})
        for system in systems
    )


def _deployed(
    job: str, certifier: Certifier | None, view: str, heads: tuple[Head, ...], networks: Networks, context: Context
) -> Deployed:
    if certifier is None or not certifier.uses_budgets:
        context = replace(context, threat=replace(context.threat, budgets=()))
    network = networks.load(job)
    prover: Prover
    if certifier is None:
        prover = Undefended(network, heads, view, EVERYWHERE, context)
    else:
        prover = certifier.deploy(network, heads, view, context)
        _require_domain_held(prover, context, job)
    in_reach = context.threat.reaches(view)
    shape = networks.data.dataset.views()[view]
    architecture, weights = networks.architecture(job), networks.weights_sha(job)
    return Deployed(job, certifier, view, in_reach, architecture, weights, heads, prover, context, shape)


def _require_domain_held(prover: Prover, context: Context, job: str) -> None:
    if not prover.domain.holds(context.threat.domain):
        raise ConfigurationError(
            f"{job}: its certifier speaks of inputs in {prover.domain}, the threat of inputs in {context.threat.domain}"
        )


def _most_random(system: System) -> int:
    """The largest number of random nodes on any path from the root to a leaf."""

    counts: dict[Node, int] = {}
    for node in reversed(system.tree.decisions):
        certifier = system.nodes[node].certifier
        here = int(certifier is not None and certifier.random)
        counts[node] = here + max(counts.get(child, 0) for child in system.tree.children(node))
    return counts[system.tree.root]
