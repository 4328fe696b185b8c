"""Training and certifying for the smoothing results: one run for each data set and sigma, resumed where it was left."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from smoothing_settings import Setting
from variants import variant

from hiercls.contracts.provers import Claim, Row
from hiercls.values.draws import Purpose
from hiercls.values.heads import ABSTAIN, Head, restricted
from hiercls.values.labels import LabelTree, Node
from hiercls.values.records import Appender
from hiercls.whole.classifier import Deployed, assemble
from hiercls.whole.plan import Placement, System
from hiercls.whole.proofs import ProofRows, proof_key, proof_row, read_proofs
from hiercls.whole.runs import Run

TOLD_SECONDS = 30.0


def run_of(setting: Setting, sigma: float, runs: Path, device: str, compiled: bool) -> Run:
    """The recipe of a data set with the given noise."""
    noise: dict[str, Any] = {"trainer": {"gaussian": {"sigma": sigma}}}
    if compiled:
        noise["certifier"] = {"smoothing": {"compiled": True}}
    changes: dict[str, Any] = {"name": f"{setting.name}-smoothed-{sigma:g}"}
    changes |= {"networks": {"flat": noise}, "nodes": {"all": noise}}
    return variant(setting.recipe, changes, runs, device=device)


@dataclass(frozen=True, eq=False)
class Trial:
    """A trained run: its flat network and retrained leaves, deployed, and the inputs of its branches.

    The flat network's prover serves the flat classifier, the root and the restricted leaves from the same draws.
    """

    setting: Setting
    sigma: float
    run: Run

    @cached_property
    def tree(self) -> LabelTree:
        tree = self.run.tree
        assert tree is not None
        return tree

    @cached_property
    def branches(self) -> dict[str, Node]:
        """The label sets below the root that a classifier decides, by name."""
        named = {self.tree.name(node): node for node in self.tree}
        return {name: named[name] for name in self.setting.branches}

    @cached_property
    def _systems(self) -> tuple[System, ...]:
        """The recipe's tree and baseline, and the tree whose leaves too are restricted from the flat network."""
        tree, flat = self.run.plan().systems
        place = next(iter(flat.nodes.values()))
        nodes = {
            node: Placement(place.job, restricted(tree.tree.children(node)), place.certifier, place.view)
            for node in tree.nodes
        }
        return tree, flat, System("restricted", tree.tree, nodes)

    @cached_property
    def classifiers(self) -> Any:
        return assemble(self._systems, self.run.networks(self.tree), self.run.context(), joint=False)

    @property
    def flat(self) -> Deployed:
        return self.classifiers[1].nodes[self.tree.root]

    @property
    def flat_head(self) -> Head:
        return self.classifiers[1].head(self.tree.root)

    @property
    def root_head(self) -> Head:
        return self.classifiers[2].head(self.tree.root)

    def leaf(self, branch: str, retrained: bool) -> tuple[Deployed, Head]:
        classifier = self.classifiers[0 if retrained else 2]
        node = self.branches[branch]
        return classifier.nodes[node], classifier.head(node)

    def inputs(self, branch: str) -> list[int]:
        """Places in the test split: the first of the branch in the order of certification."""
        order = self.run.data.order
        held = torch.isin(self.run.data.test.truth[order], torch.tensor(sorted(self.branches[branch])))
        return order[held][: self.setting.each].tolist()

    def prove(self) -> None:
        """Prove what is not proved yet, each leaf at the inputs of its own branch, whatever the root says of them."""
        wanted = {
            index: [self.flat_head, self.root_head, self.leaf(branch, False)[1]]
            for branch in self.branches
            for index in self.inputs(branch)
        }
        prove(self.flat, wanted, self.run, self.folder(self.flat))
        for branch in self.branches:
            deployed, head = self.leaf(branch, True)
            prove(deployed, {index: [head] for index in self.inputs(branch)}, self.run, self.folder(deployed))

    def rows(self, deployed: Deployed) -> ProofRows:
        return read_proofs(self.folder(deployed), deployed.heads)

    def folder(self, deployed: Deployed) -> Path:
        return self.run.folder / "given-the-branch" / proof_key(deployed, self.run.data)


def prove(deployed: Deployed, wanted: Mapping[int, Sequence[Head]], run: Run, folder: Path) -> None:
    """One row an input for the decisions that are wanted of it, beside those that are there."""
    known = read_proofs(folder, deployed.heads)
    left = [index for index in wanted if index not in known]
    told, done = time.monotonic(), 0

    def claims() -> Iterator[Claim]:
        for rows in torch.tensor(left, dtype=torch.int64).split(deployed.context.batch):
            some = run.data.inputs[rows]
            named = deployed.prover.decide(some, Purpose.SELECT)
            for k, index in enumerate(rows.tolist()):
                chosen = {head: int(named[head][k]) for head in wanted[index]}
                yield Claim(some[k : k + 1], {head: child for head, child in chosen.items() if child != ABSTAIN})

    with Appender(folder / "part-0-of-1.jsonl") as part:
        before = time.monotonic()
        for proof in deployed.prover.prove(claims()):
            now = time.monotonic()
            part.append(proof_row(proof, deployed.heads, now - before))
            before, done = now, done + 1
            if time.monotonic() - told > TOLD_SECONDS:
                told = time.monotonic()
                print(f"{run.recipe.name}: {deployed.job}, {done} of {len(left)}", file=sys.stderr, flush=True)


def answered(rows: ProofRows, index: int, head: Head) -> Row | None:
    """The stored row of one decision on one input; None where it abstained."""
    return next((row for (decided, _), row in rows.get(index, {}).items() if decided == head), None)
