"""What a smoothed tree costs beside the flat classifier: restricted nodes share every pass, retrained ones do not.

The flat classifier, the path of a tree whose nodes are all restricted from it, and the path whose leaf has a network of
its own are certified at the same inputs, selection included, in turn, several times over. A retrained path is compared
with the sum of its nodes: each network asked alone, at the same inputs. Seconds are those of this process.

    HIERCLS_DATA=... python benchmarks/smoothing_trees.py --output docs/results/smoothing-trees.json
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from outcome import publish
from smoothing_proofs import Trial, run_of
from smoothing_settings import SETTINGS, SIGMAS
from variants import train_told

from hiercls.contracts.provers import Claim, Prover
from hiercls.values.draws import Purpose
from hiercls.values.heads import ABSTAIN, Head

STOPS: dict[str, Any] = {
    "fixed": {"draws": 2_000},
    "grid": {"stop": {"grid": {"radii": [0.0, 0.25, 0.5, 0.75]}}},
    "tolerance": {"stop": {"tolerance": 0.05}},
}


def main() -> None:
    asked = _arguments().parse_args()
    torch.set_num_threads(1)
    setting = next(setting for setting in SETTINGS if setting.name == asked.data)
    run = run_of(setting, asked.sigma, asked.runs, "cpu", compiled=False)
    train_told(run)
    trial = Trial(setting, asked.sigma, run)
    figures = {name: _compared(trial, options, asked) for name, options in STOPS.items()}
    told = f"--data {asked.data} --sigma {asked.sigma:g} --inputs {asked.inputs} --repeats {asked.repeats}"
    publish(f"python benchmarks/smoothing_trees.py {told}", {"stops": figures}, asked.output)


def _compared(trial: Trial, options: Mapping[str, Any], asked: argparse.Namespace) -> dict[str, Any]:
    branch = trial.setting.branches[0]
    deployed, own = trial.leaf(branch, True)
    restricted = trial.leaf(branch, False)[1]

    def prover(job: str, *heads: Head) -> Prover:
        certifier = trial.flat.certifier
        assert certifier is not None
        changed = type(certifier).model_validate({**certifier.model_dump(exclude_defaults=True), **options})
        return changed.deploy(trial.run.networks(trial.tree).load(job), heads, trial.flat.view, trial.flat.context)

    flat = prover(trial.flat.job, trial.flat_head)
    root = prover(trial.flat.job, trial.root_head)
    shared = prover(trial.flat.job, trial.root_head, restricted)
    leaf = prover(deployed.job, own)
    inputs = trial.inputs(branch)[: asked.inputs]
    systems: dict[str, Sequence[tuple[Prover, Sequence[Head]]]] = {
        "flat": [(flat, [trial.flat_head])],
        "restricted path": [(shared, [trial.root_head, restricted])],
        "root alone": [(root, [trial.root_head])],
        "leaf alone": [(leaf, [own])],
        "retrained path": [(root, [trial.root_head]), (leaf, [own])],
    }
    seconds: dict[str, list[float]] = {name: [] for name in systems}
    draws = {}
    for _ in range(asked.repeats):
        for name, parts in systems.items():
            started = time.process_time()
            draws[name] = sum(_certified(trial, prover, heads, inputs) for prover, heads in parts)
            seconds[name].append(time.process_time() - started)
    tree = [path / flat for path, flat in zip(seconds["restricted path"], seconds["flat"], strict=True)]
    nodes = zip(seconds["retrained path"], seconds["root alone"], seconds["leaf alone"], strict=True)
    return {
        "inputs": len(inputs),
        "draws": draws,
        "seconds": {name: median(found) for name, found in seconds.items()},
        "restricted path over flat": median(tree),
        "retrained path over the sum of its nodes": median([path / (top + leaf) for path, top, leaf in nodes]),
    }


def _certified(trial: Trial, prover: Prover, heads: Sequence[Head], inputs: Sequence[int]) -> int:
    """Select and prove; the draws that it took."""
    some = trial.run.data.inputs[torch.tensor(inputs)]
    named = prover.decide(some, Purpose.SELECT)
    claims = (
        Claim(some[k : k + 1], {head: int(named[head][k]) for head in heads if named[head][k] != ABSTAIN})
        for k in range(len(inputs))
    )
    proofs = list(prover.prove(claims))
    return sum(max((row.evidence["draws"] for row in proof.rows.values()), default=0) for proof in proofs)


def _arguments() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", choices=[setting.name for setting in SETTINGS], default="gtsrb")
    options.add_argument("--sigma", type=float, choices=SIGMAS, default=0.25)
    options.add_argument("--inputs", type=int, default=20)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--runs", type=Path, default=Path("runs"))
    options.add_argument("--output", type=Path)
    return options


if __name__ == "__main__":
    main()
