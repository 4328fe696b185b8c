"""The searched tree beside the agglomerative ones and the flat classifier, all of one robust network.

    HIERCLS_DATA=... python benchmarks/tree_search.py --train-only
    HIERCLS_DATA=... python benchmarks/tree_search.py --output docs/results/tree-search

For every budget and seed one flat network is trained on interval bounds, one after another in one process. Its trees
have nodes restricted from it, so that all of them give the same answers and differ in what is certified. Label sets of
all test images are read from the margins at the budget; for `--checked` images they are compared with what
`hiercls certify` proves. What is trained, grown or certified is not done again.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from outcome import publish
from variants import train_told, variant

from hiercls.values.labels import flat_tree
from hiercls.values.readings import information_gain
from hiercls.verbs.assembly import assembled, certified, finished_inputs
from hiercls.verbs.certify import certify
from hiercls.verbs.memory import keep_freed_memory
from hiercls.whole.runs import Run, environment
from hiercls_plugins.certified_gain.building import pooled
from hiercls_plugins.certified_gain.margins import Measured
from hiercls_plugins.certified_gain.shapes import of_tree

CONFIG = Path("configs/fashion-searched.yaml")
BUDGETS = (0.02, 0.05, 0.1, 0.2, 0.3)
SEEDS = (0, 1, 2)

BUILDERS = {
    "searched": {"certified-gain": {"of": "flat", "inputs": 20000}},
    "Ward": {"agglomerative": {"of": "flat"}},
    "average": {"agglomerative": {"of": "flat", "linkage": "average"}},
}
SYSTEMS = (*BUILDERS, "flat")
COMPARED = "Ward"
"""The agglomerative tree that the searched one is compared with."""

QUANTILE = 1.96
"""Of the normal distribution, for 95% intervals."""


class Measurement(NamedTuple):
    """What one network certifies with each of its trees.

    Attributes:
        gains: of each test image, (N,), by system.
        network: what is known of the network and its trees.
    """

    budget: float
    seed: int
    gains: Mapping[str, np.ndarray]
    network: Mapping[str, Any]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--train-only", action="store_true", help="stop when the networks are trained")
    options.add_argument("--budgets", type=float, nargs="+", default=BUDGETS)
    options.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    options.add_argument("--epochs", type=int, help="instead of 20; the ramp and the decay shrink with them")
    options.add_argument("--checked", type=int, default=500, help="images that `hiercls certify` certifies too")
    options.add_argument("--output", type=Path, default=Path("docs/results/tree-search"), help="without the ending")
    options.add_argument("--runs", type=Path, default=Path("runs"))
    asked = options.parse_args()
    keep_freed_memory()
    wanted = [(budget, seed) for seed in asked.seeds for budget in asked.budgets]
    for budget, seed in wanted:
        train_told(run_of(budget, seed, COMPARED, asked.epochs, asked.runs), only="flat")
    if asked.train_only:
        return
    found = [measured(budget, seed, asked.epochs, asked.runs, asked.checked) for budget, seed in wanted]
    changed = {name: getattr(asked, name) for name in ("budgets", "seeds", "epochs", "checked", "output")}
    told = [_told(name, value) for name, value in changed.items() if value != options.get_default(name)]
    command = " ".join(["python benchmarks/tree_search.py", *told])
    rows = [row([one for one in found if one.budget == budget]) for budget in asked.budgets]
    figures = {"rows": rows, "networks": [{"budget": b, "seed": s, **network} for b, s, _, network in found]}
    publish(command, figures, asked.output.with_suffix(".json"))
    asked.output.with_suffix(".md").write_text(page(command, figures))


def _told(name: str, value: Any) -> str:
    return f"--{name} {' '.join(map(str, value)) if isinstance(value, list) else value}"


def run_of(budget: float, seed: int, tree: str, epochs: int | None, runs: Path) -> Run:
    """One network with one of its trees; all trees of a network share its run's folder."""
    name = f"tree-search-{budget:g}-seed-{seed}" + ("" if epochs is None else f"-epochs-{epochs}")
    trainer: dict[str, Any] = {"eps": budget}
    if epochs is not None:
        trainer["schedule"] = {"epochs": epochs, "decay": {"at": [0.7 * epochs, 0.9 * epochs], "by": 0.2}}
        trainer["ramp"] = [0.05 * epochs, 0.55 * epochs]
    changes = {
        "name": name,
        "seed": seed,
        "threat": {"budgets": [budget]},
        "networks": {"flat": {"trainer": {"ibp": trainer}, "certifier": {"ibp": narrow(budget)}}},
        "tree": {"build": BUILDERS[tree]},
    }
    return variant(CONFIG, changes, runs)


def narrow(budget: float) -> dict[str, float]:
    """The options of a certifier that asks whether radii reach one budget, and no more."""
    return {"smallest": 0.9 * budget, "largest": 1.1 * budget, "precision": 1.0}


def measured(budget: float, seed: int, epochs: int | None, runs: Path, checked: int) -> Measurement:
    """Grow the trees of one network, and measure what each certifies at the budget on all test images."""
    found = {tree: run_of(budget, seed, tree, epochs, runs) for tree in BUILDERS}
    for run in found.values():
        train_told(run)
    run = found["searched"]
    trees = {**{name: other.tree for name, other in found.items()}, "flat": flat_tree(run.data.labels)}
    test, threat, network = run.data.test, run.recipe.threat, run.networks(None)
    truth = test.truth.numpy()
    margins = Measured(network.load("flat"), threat.domain).margins(test.views[threat.view], budget)
    objective = pooled([margins], truth)
    gains = {name: objective.each(of_tree(tree)) for name, tree in trees.items()}
    record = json.loads((network.place("flat") / "meta.json").read_text())
    place = run.tree_place()
    assert place is not None
    known = {
        "error": float((margins.answer != truth).mean()),
        **{key: record[key] for key in ("parameters", "examples", "seconds", "sha256")},
        "expected": place.with_suffix(".txt").read_text().strip(),
        "trees": {name: tree.partition() for name, tree in trees.items()},
        "checked": [compared(found[tree], tree, gains, budget, checked) for tree in ("searched", COMPARED)],
    }
    return Measurement(budget, seed, gains, known)


def compared(run: Run, tree: str, gains: Mapping[str, np.ndarray], budget: float, images: int) -> dict[str, Any]:
    """The largest difference between these gains and those of what `hiercls certify` proves, tree and baseline."""
    print(f"{run.recipe.name}: certifying {images} images, {tree}", file=sys.stderr, flush=True)
    certify(run, inputs=images)
    assembly = assembled(run, images)
    index = finished_inputs(assembly)
    apart = {}
    for system, certificates in certified(assembly).items():
        proved = information_gain(certificates, budget, run.data.test.truth[index]).values.numpy()
        apart[system] = float(np.abs(proved - gains[tree if system == "tree" else system][index.numpy()]).max())
    return {"tree": tree, "images": len(index), "largest difference": apart}


def row(of_budget: Sequence[Measurement]) -> dict[str, Any]:
    """The gains at one budget, and how much larger the searched tree's is.

    The difference is paired: taken on each test image, averaged over the seeds' networks, then over the images. Its
    interval is that of this mean over images, for these networks; beside it stand the seeds' own means.
    """
    apart = {
        other: np.stack([one.gains["searched"] - one.gains[other] for one in of_budget])
        for other in SYSTEMS
        if other != "searched"
    }
    return {
        "budget": of_budget[0].budget,
        "seeds": [one.seed for one in of_budget],
        "images": len(of_budget[0].gains["flat"]),
        "gain": {name: [float(one.gains[name].mean()) for one in of_budget] for name in SYSTEMS},
        "searched minus": {other: interval(differences) for other, differences in apart.items()},
    }


def interval(differences: np.ndarray) -> dict[str, Any]:
    """The mean of (seeds, N) paired differences, its 95% interval over images, and each seed's own."""
    pooled_, *each = [_interval(values) for values in (differences.mean(axis=0), *differences)]
    return {**pooled_, "each seed": each}


def _interval(values: np.ndarray) -> dict[str, Any]:
    mean = float(values.mean())
    half = QUANTILE * float(values.std(ddof=1)) / sqrt(len(values))
    return {"mean": mean, "interval": [mean - half, mean + half]}


def page(command: str, figures: Mapping[str, Any]) -> str:
    rows, networks = figures["rows"], figures["networks"]
    seeds = ", ".join(map(str, rows[0]["seeds"]))
    lines = ["# Tree search", "", "Made by this command, and no other figure stands here:", "", f"    {command}", ""]
    lines += [
        f"Fashion-MNIST, {rows[0]['images']:,} test images. For each budget and seed one flat network is trained on "
        "interval bounds at that budget; every tree has its nodes restricted from it, so that all give the flat answer "
        "and differ only in what they certify. Ward and average are the linkages of the "
        "agglomerative trees of its last layer. The searched tree is chosen on training examples held out from that "
        "network, among binary trees as the agglomerative ones are. The flat classifier has no groups to offer and "
        "stands beside them as a ceiling: its label sets lie inside those of every tree.",
        "",
        f"## Certified information gain, mean of seeds {seeds}",
        "",
        "| budget | searched | Ward | average | flat | searched minus Ward, 95% interval | searched minus average |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in rows:
        means = " | ".join(f"{np.mean(one['gain'][name]):.4f}" for name in SYSTEMS)
        apart = " | ".join(_shown(one["searched minus"][name]) for name in (COMPARED, "average"))
        lines.append(f"| {one['budget']:g} | {means} | {apart} |")
    lines += [
        "",
        "The difference is paired: taken on each test image, averaged over the seeds' networks, then over the images; "
        "the interval (normal, 1.96 standard errors) is that of this mean over images, for these networks. How the "
        "difference varies from network to network is not in it, and is seen here, each seed for itself:",
        "",
        "| budget | seed | error | searched | Ward | average | flat | searched minus Ward, 95% interval |",
        "|---|---|---|---|---|---|---|---|",
    ]
    errors = {(network["budget"], network["seed"]): network["error"] for network in networks}
    for one in rows:
        for k, seed in enumerate(one["seeds"]):
            gains = " | ".join(f"{one['gain'][name][k]:.4f}" for name in SYSTEMS)
            shown = _shown(one["searched minus"][COMPARED]["each seed"][k])
            lines.append(
                f"| {one['budget']:g} | {seed} | {100 * errors[one['budget'], seed]:.2f}% | {gains} | {shown} |"
            )
    lines += ["", "## What was expected", ""]
    lines += [
        f"- seed {network['seed']}, trained at {network['budget']:g}: {network['expected']}." for network in networks
    ]
    checks = [check for network in networks for check in network["checked"]]
    worst = max(apart for check in checks for apart in check["largest difference"].values())
    seconds = sum(network["seconds"] for network in networks)
    lines += [
        "",
        "## Made with",
        "",
        f"Label sets are read from the margins at the budget. `hiercls certify` on {checks[0]['images']} images "
        f"a network, searched and Ward's tree and the flat baseline, gives the same gains: the largest difference is "
        f"{worst:g}.",
        "",
        f"{len(networks)} networks of {networks[0]['parameters']:,} parameters, {seconds:,.0f} training seconds. "
        + ", ".join(f"{name} {value}" for name, value in environment().items())
        + ".",
        "",
    ]
    return "\n".join(lines)


def _shown(found: Mapping[str, Any]) -> str:
    low, high = found["interval"]
    return f"{found['mean']:+.4f} ({low:+.4f} to {high:+.4f})"


if __name__ == "__main__":
    main()
