"""The radius against the size of the label set: every restriction of one flat network, from one set of draws."""

import sys
import time
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import torch
from smoothing_proofs import TOLD_SECONDS, Trial

from hiercls.contracts.provers import Claim
from hiercls.values.draws import Purpose
from hiercls.values.heads import ABSTAIN, Head, restricted
from hiercls.values.records import Appender, digest, read_rows
from hiercls.whole.proofs import proof_key

Labels = tuple[int, ...]


def subsets(labels: int) -> list[Labels]:
    """All sets of at least two labels: 1,013 of ten."""
    return [found for size in range(2, labels + 1) for found in combinations(range(labels), size)]


def measured(trial: Trial, inputs: int) -> dict[str, Any]:
    """The mean radius of every label set, over the inputs whose label it holds, and the mean of those by size.

    A wrong or uncertified answer has radius 0. The inputs are the first ones in the order of certification.
    """
    rows = _rows(trial, inputs)
    found = {}
    for members in subsets(len(trial.tree.labels)):
        radii = [row["radii"][_name(members)] for row in rows if row["truth"] in members]
        if radii:
            found[_name(members)] = {"inputs": len(radii), "radius": float(np.mean(radii))}
    sizes = {}
    for size in range(2, len(trial.tree.labels) + 1):
        means = [told["radius"] for name, told in found.items() if len(name.split()) == size]
        spread = float(np.std(means))
        sizes[size] = {
            "sets": len(means),
            "radius": [float(np.mean(means)), spread],
            "least": min(means),
            "most": max(means),
        }
    return {"sigma": trial.sigma, "inputs": inputs, "sizes": sizes, "sets": found, "shrunk": _shrunk(rows)}


def _shrunk(rows: list[dict[str, Any]]) -> dict[str, int]:
    """How often a set's radius at an input is below the radius of the same set with one label more."""
    told = {"compared": 0, "down": 0, "down, still certified": 0}
    for row in rows:
        for name, radius in row["radii"].items():
            members = {int(label) for label in name.split()}
            for label in members - {row["truth"]}:
                smaller = row["radii"].get(_name(sorted(members - {label})))
                if smaller is not None:
                    told["compared"] += 1
                    told["down"] += smaller < radius
                    told["down, still certified"] += 0 < smaller < radius
    return told


def _rows(trial: Trial, inputs: int) -> list[dict[str, Any]]:
    """The stored rows of the first inputs, proved where they are not yet."""
    run, flat = trial.run, trial.flat
    heads = {
        members: restricted([frozenset({label}) for label in members]) for members in subsets(len(trial.tree.labels))
    }
    folder = run.folder / "subsets" / digest([proof_key(flat, run.data), len(heads)])
    wanted = run.data.order[:inputs].tolist()
    known = {row["index"]: row for row in read_rows(folder)}
    left = [index for index in wanted if index not in known]
    if left:
        assert flat.certifier is not None
        network = run.networks(trial.tree).load(flat.job)
        prover = flat.certifier.deploy(network, tuple(heads.values()), flat.view, flat.context)
        told = time.monotonic()
        with Appender(folder / "part-0-of-1.jsonl") as part:
            for number, proof in enumerate(prover.prove(_claims(trial, prover, heads, left))):
                truth = int(run.data.test.truth[proof.index])
                right = {
                    _name(members): proof.rows[head].own if head.children[proof.rows[head].chosen] == {truth} else 0.0
                    for members, head in heads.items()
                    if head in proof.rows
                }
                absent = {
                    _name(members): 0.0
                    for members, head in heads.items()
                    if truth in members and head not in proof.rows
                }
                part.append({"index": proof.index, "truth": truth, "radii": {**absent, **right}})
                if time.monotonic() - told > TOLD_SECONDS:
                    told = time.monotonic()
                    print(f"{run.recipe.name}: label sets, {number + 1} of {len(left)}", file=sys.stderr, flush=True)
        known = {row["index"]: row for row in read_rows(folder)}
    return [known[index] for index in wanted]


def _claims(trial: Trial, prover: Any, heads: dict[Labels, Head], left: list[int]) -> Iterator[Claim]:
    """An input with all label sets that hold its label."""
    for index in left:
        one = trial.run.data.inputs[torch.tensor([index])]
        named = prover.decide(one, Purpose.SELECT)
        truth = int(trial.run.data.test.truth[index])
        chosen = {head: int(named[head][0]) for members, head in heads.items() if truth in members}
        yield Claim(one, {head: child for head, child in chosen.items() if child != ABSTAIN})


def _name(members: Any) -> str:
    return " ".join(map(str, members))
