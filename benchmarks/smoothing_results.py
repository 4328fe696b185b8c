"""Smoothed hierarchies of GTSRB and CIFAR-10 (as JPEG): flat against hierarchy, restricted against retrained leaves.

For each data set and sigma one network for all labels, from which the root and one kind of leaves are restricted, and a
network of its own for every leaf of the other kind. Every network of an input is certified with the same number of
draws, leaves at all inputs of their branch (`given the branch`, as the paper tells it) and on the path from the root
(end to end). Trains, certifies and writes what is there; run again, it goes on where it was. Rows, networks and
settings lie in the runs; the page and its pictures are made from them.

    HIERCLS_DATA=... python benchmarks/smoothing_results.py --output docs/results/smoothing
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from outcome import publish
from smoothing_figures import draw_changes, draw_subsets
from smoothing_proofs import Trial, run_of
from smoothing_readings import answers, changes, renormalising, seen, summary
from smoothing_settings import SETTINGS, SIGMAS, Setting
from smoothing_subsets import measured
from smoothing_tables import page
from variants import train_told

from hiercls.values.records import read_json


def main() -> None:
    asked = _arguments().parse_args()
    torch.set_num_threads(1)
    settings = [setting for setting in SETTINGS if setting.name in asked.data]
    trials = [_trial(setting, sigma, asked) for setting in settings for sigma in asked.sigmas]
    if asked.no_output:
        return
    figures: dict[str, Any] = {"trials": [_figures(trial) for trial in trials]}
    shown = [trial for trial in trials if trial.setting.name == "cifar10-jpeg" and trial.sigma == min(asked.sigmas)]
    figures["label sets"] = [measured(trial, asked.subset_inputs) for trial in shown]
    command = f"python benchmarks/smoothing_results.py {_told(asked)}"
    publish(command, figures, asked.output.with_suffix(".json"))
    asked.output.with_suffix(".md").write_text(page(command, figures, asked.output))
    by_branch: dict[tuple[str, str], dict[float, Any]] = {}
    for told in figures["trials"]:
        for branch, found in told["branches"].items():
            by_branch.setdefault((told["data"], branch), {})[told["sigma"]] = found["changes"]
    draw_changes(by_branch, asked.output.with_name(f"{asked.output.name}-changes.png"))
    for each in figures["label sets"]:
        draw_subsets(each, asked.output.with_name(f"{asked.output.name}-label-sets.png"))


def _told(asked: argparse.Namespace) -> str:
    compiled = "--compiled " if asked.compiled else ""
    return f"{compiled}--subset-inputs {asked.subset_inputs} --output {asked.output}"


def _trial(setting: Setting, sigma: float, asked: argparse.Namespace) -> Trial:
    """One run, trained and certified as far as it is not yet."""
    run = run_of(setting, sigma, asked.runs, asked.device, asked.compiled)
    train_told(run)
    trial = Trial(setting, sigma, run)
    trial.prove()
    return trial


def _figures(trial: Trial) -> dict[str, Any]:
    networks = trial.run.networks(trial.tree)
    names = [trial.flat.job, *(trial.leaf(branch, True)[0].job for branch in trial.branches)]
    branches = {}
    for branch in trial.branches:
        inputs = seen(trial, branch)
        systems = answers(trial, branch, inputs)
        branches[branch] = {
            "labels": len(trial.branches[branch]),
            "systems": {name: summary(found) for name, found in systems.items()},
            "renormalising": renormalising(trial, branch, inputs),
            "changes": changes(systems),
        }
    certifier = trial.flat.certifier
    assert certifier is not None
    return {
        "data": trial.setting.name,
        "sigma": trial.sigma,
        "alpha": trial.run.recipe.certify.alpha,
        "seed": trial.run.recipe.seed,
        "certifier": certifier.model_dump(mode="json"),
        "training seconds": {name: read_json(networks.place(name) / "meta.json")["seconds"] for name in names},
        "parameters": sum(parameter.numel() for parameter in networks.load(trial.flat.job).parameters()),
        "epochs": trial.run.recipe.networks[trial.flat.job].trainer.schedule.epochs,
        "branches": branches,
    }


def _arguments() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [setting.name for setting in SETTINGS]
    options.add_argument("--data", nargs="+", choices=names, default=names)
    options.add_argument("--sigmas", nargs="+", type=float, choices=SIGMAS, default=list(SIGMAS))
    options.add_argument("--subset-inputs", type=int, default=60, help="inputs at which every label set is certified")
    options.add_argument("--compiled", action="store_true", help="passes through torch.compile; needs a compiler")
    options.add_argument("--runs", type=Path, default=Path("runs"))
    options.add_argument("--device", default="cpu")
    options.add_argument("--no-output", action="store_true", help="train and certify only")
    options.add_argument("--output", type=Path, default=Path("docs/results/smoothing"))
    return options


if __name__ == "__main__":
    main()
