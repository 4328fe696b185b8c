"""Paths and proofs on disk, and the label certificates that are composed from them when read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch

from hiercls.contracts.provers import Proof, Row
from hiercls.values.certificates import (
    LabelCertificates,
    NodeCertificates,
    Scope,
    out_of_reach,
    uncertified,
    with_allowed,
)
from hiercls.values.compose import compose
from hiercls.values.heads import UNREACHED, Head
from hiercls.values.labels import LabelTree, Node
from hiercls.values.records import digest, read_rows
from hiercls.values.views import Inputs
from hiercls.whole.classifier import Classifier, Deployed
from hiercls.whole.data import Data

ProofRows = Mapping[int, Mapping[tuple[Head, int], Row]]
"""The stored rows of one prover: for each input, what was proved of a decision and the child that it chose."""

PathRow = tuple[int, ...]
"""The child taken at each node from the root down; the last one may be ABSTAIN."""


def proof_key(deployed: Deployed, data: Data) -> str:
    return digest([deployed.identity(), data.test_fingerprint, data.allowed_view])


def path_key(classifier: Classifier, data: Data) -> str:
    keys = {proof_key(deployed, data) for deployed in classifier.nodes.values()}
    return digest([classifier.tree.partition(), sorted(keys), data.allowed_view])


def path_rows(tree: LabelTree, decided: Mapping[Node, torch.Tensor], count: int) -> list[PathRow]:
    """Each input's path, read off the decisions of all nodes."""
    rows: list[list[int]] = [[] for _ in range(count)]
    for node in tree.decisions:
        for k in (decided[node] != UNREACHED).nonzero().squeeze(1).tolist():
            rows[k].append(int(decided[node][k]))
    return [tuple(row) for row in rows]


def decisions(tree: LabelTree, rows: Sequence[PathRow]) -> dict[Node, torch.Tensor]:
    """The child taken at each node, (N,), from the stored paths."""
    found = {node: torch.full((len(rows),), UNREACHED) for node in tree.decisions}
    for k, row in enumerate(rows):
        node = tree.root
        for child in row:
            found[node][k] = child
            if child >= 0:
                node = tree.children(node)[child]
    return found


def read_paths(folder: Path) -> dict[int, PathRow]:
    return {row["index"]: tuple(row["path"]) for row in read_rows(folder)}


def read_proofs(folder: Path, heads: Sequence[Head]) -> ProofRows:
    """All stored rows; the order of files never matters, for rows of one key, decision and child are equal."""
    found: dict[int, dict[tuple[Head, int], Row]] = {}
    for stored in read_rows(folder):
        rows = found.setdefault(stored["index"], {})
        for head, row in _rows(stored, heads):
            rows[head, row.chosen] = row
    return found


def read_seconds(folder: Path) -> dict[int, float | None]:
    """What was spent on each input, in seconds; None where a row was stored before rows told their time."""
    spent: dict[int, float | None] = {}
    for stored in read_rows(folder):
        before, here = spent.get(stored["index"], 0.0), stored.get("seconds")
        spent[stored["index"]] = None if before is None or here is None else before + here
    return spent


def proof_row(proof: Proof, heads: Sequence[Head], seconds: float) -> dict[str, Any]:
    """A proof as it is stored; decisions are named by their place among the prover's heads.

    Args:
        seconds: from the proof before it to this one, so that the rows of a prover sum to the time it worked. No
            claim depends on it: see `timeless`.
    """
    rows = [
        {
            "head": heads.index(head),
            "chosen": row.chosen,
            "own": row.own,
            "radii": list(row.radii),
            "evidence": dict(row.evidence),
        }
        for head, row in proof.rows.items()
    ]
    return {"index": proof.index, "seconds": round(seconds, 6), "rows": rows}


def timeless(row: Mapping[str, Any]) -> dict[str, Any]:
    """A stored row without its seconds: rows of the same work are equal but for them."""
    return {name: value for name, value in row.items() if name != "seconds"}


def _rows(stored: Mapping[str, Any], heads: Sequence[Head]) -> Iterable[tuple[Head, Row]]:
    for row in stored["rows"]:
        radii = tuple(float(radius) for radius in row["radii"])
        yield heads[row["head"]], Row(row["chosen"], float(row["own"]), radii, row["evidence"])


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is stored of one system: the path of every input, and the proofs of every prover.

    Attributes:
        inputs: the N inputs, in the order of the rows.
        paths: one path an input.
        proofs: the stored rows of each prover.
    """

    classifier: Classifier
    inputs: Inputs
    paths: Sequence[PathRow]
    proofs: Mapping[str, ProofRows]


def certificates(evidence: Evidence, data: Data) -> LabelCertificates:
    """Compose what is stored: rows of all nodes under the threat, in its norm, then the law of the tree."""
    classifier = evidence.classifier
    decided = decisions(classifier.tree, evidence.paths)
    nodes = {node: _node_rows(node, decided[node], evidence, data) for node in classifier.tree.decisions}
    return compose(classifier.tree, nodes)


def _node_rows(node: Node, chosen: torch.Tensor, evidence: Evidence, data: Data) -> NodeCertificates:
    """One node's certificates, by the rules of reach: see `values.certificates`."""
    deployed = evidence.classifier.nodes[node]
    head = evidence.classifier.head(node)
    threat = data.threat
    scope = Scope(threat.norm, threat.view, threat.domain)
    if deployed.in_reach and deployed.certifier is None:
        rows = uncertified(head.children, chosen, scope)
    elif not deployed.in_reach:
        confirmed = _confirmed(head, deployed, chosen, evidence, data)
        rows = out_of_reach(head.children, chosen, confirmed, deployed.prover.alpha, scope)
    else:
        rows = _proved(head, deployed, chosen, evidence, data)
    mask_in_reach = data.allowed_view is not None and threat.reaches(data.allowed_view)
    return with_allowed(rows, evidence.inputs.allowed_children(head.children), mask_in_reach)


def _proved(head: Head, deployed: Deployed, chosen: torch.Tensor, evidence: Evidence, data: Data) -> NodeCertificates:
    radii = torch.zeros(len(chosen), len(head.children), dtype=torch.float64)
    own = torch.zeros(len(chosen), dtype=torch.float64)
    for k, row in _stored_rows(head, deployed, chosen, evidence, data):
        own[k] = row.own
        radii[k] = torch.tensor(row.radii, dtype=torch.float64)
    scope = Scope(deployed.prover.norm, data.threat.view, deployed.prover.domain.intersect(data.threat.domain))
    rows = NodeCertificates(head.children, chosen, own, radii, deployed.prover.alpha, scope)
    return rows.in_norm(data.threat.norm, prod(deployed.shape))


def _confirmed(head: Head, deployed: Deployed, chosen: torch.Tensor, evidence: Evidence, data: Data) -> torch.Tensor:
    """Which decisions of a node out of reach are known: a deterministic node's all, a random one's if tested."""
    if not deployed.random:
        return chosen >= 0
    confirmed = torch.zeros(len(chosen), dtype=torch.bool)
    for k, row in _stored_rows(head, deployed, chosen, evidence, data):
        confirmed[k] = row.own > 0
    return confirmed


def _stored_rows(
    head: Head, deployed: Deployed, chosen: torch.Tensor, evidence: Evidence, data: Data
) -> Iterable[tuple[int, Row]]:
    """The stored rows of the inputs that come to a node and decide, each about the child that was chosen."""
    proofs = evidence.proofs[proof_key(deployed, data)]
    for k, (index, child) in enumerate(zip(evidence.inputs.index.tolist(), chosen.tolist(), strict=True)):
        row = proofs.get(index, {}).get((head, child))
        if row is not None:
            yield k, row
