"""The agglomerative trees of naturally trained networks, drawn, beside the published top split.

    HIERCLS_DATA=... python benchmarks/trees.py configs/fashion-natural.yaml --output docs/results/trees-fashion-mnist
    HIERCLS_DATA=... python benchmarks/trees.py configs/cifar10-jpeg-natural.yaml \
        --output docs/results/trees-cifar10-jpeg

Trains the recipe's `flat` network once a seed, one after another in one process; what is trained is not trained
again. Writes a picture, a JSON and a Markdown file. The adjusted Rand index compares the root split with the
published one: 1 is the same split, 0 is what chance gives.
"""

import argparse
import json
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from drawn_trees import draw
from outcome import publish
from sklearn.metrics import adjusted_rand_score
from variants import train_told, variant

from hiercls.values.labels import LabelTree, Node
from hiercls.verbs.memory import keep_freed_memory
from hiercls.whole.runs import Run, environment
from hiercls_plugins.agglomerative.clustering import clustered, last_rows, merges

KINDS = (
    ("ward", "l2"),
    *((linkage, metric) for metric in ("l2", "cosine") for linkage in ("average", "complete", "single")),
)
"""Linkages and metrics; Ward's needs l2."""

PUBLISHED = (("T-shirt", "Pullover", "Coat"), ("airplane", "automobile", "ship", "truck"))
"""One side of the top split of Fashion-MNIST and of CIFAR-10 in the pairwise-similarity paper (AAAI 2021)."""


class Found(NamedTuple):
    """The tree of one network by one linkage and metric."""

    seed: int
    linkage: str
    metric: str
    merged: np.ndarray
    tree: LabelTree
    rand: float

    @property
    def side(self) -> Node:
        """The smaller side of the root split."""
        return min(self.tree.children(self.tree.root), key=len)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("config", type=Path)
    options.add_argument("--output", type=Path, required=True, help="where to write, without the ending")
    options.add_argument("--runs", type=Path, default=Path("runs"))
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    options.add_argument("--epochs", type=int, help="instead of those of the recipe")
    asked = options.parse_args()
    keep_freed_memory()
    runs = [of_seed(asked.config, seed, asked.epochs, asked.runs) for seed in asked.seeds]
    for run in runs:
        train_told(run)
    found = [tree for run in runs for tree in trees(run)]
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    picture = asked.output.with_suffix(".png")
    draw(found, KINDS, published_side(runs[0].data.labels), picture)
    epochs = "" if asked.epochs is None else f" --epochs {asked.epochs}"
    seeds = "" if asked.seeds == options.get_default("seeds") else f" --seeds {' '.join(map(str, asked.seeds))}"
    command = f"python benchmarks/trees.py {asked.config} --output {asked.output}{seeds}{epochs}"
    figures = outcome(asked.config.stem, runs, found)
    publish(command, figures, asked.output.with_suffix(".json"))
    asked.output.with_suffix(".md").write_text(page(command, figures, picture.name))


def of_seed(config: Path, seed: int, epochs: int | None, runs: Path) -> Run:
    changes: dict[str, Any] = {"name": f"{config.stem}-seed-{seed}", "seed": seed}
    if epochs is not None:
        changes["name"] += f"-epochs-{epochs}"
        changes["networks"] = {"flat": {"trainer": {"standard": {"schedule": {"epochs": epochs}}}}}
    return variant(config, changes, runs)


def trees(run: Run) -> list[Found]:
    """The trees of one trained network, one of each kind."""
    labels = run.data.labels
    rows = last_rows(run.networks(None).load("flat"), len(labels), "flat")
    published = published_side(labels)
    found = []
    for linkage, metric in KINDS:
        tree = clustered(labels, rows, linkage, metric).tree
        rand = agreement(published, tree.children(tree.root)[0], len(labels))
        found.append(Found(run.recipe.seed, linkage, metric, merges(rows, linkage, metric), tree, rand))
    return found


def published_side(labels: tuple[str, ...]) -> Node:
    """One side of the published top split of these labels."""
    side = next(side for side in PUBLISHED if set(side) <= set(labels))
    return frozenset(map(labels.index, side))


def agreement(one: Node, other: Node, labels: int) -> float:
    """The adjusted Rand index of two splits, each told by one of its sides."""
    return float(adjusted_rand_score(*([label in side for label in range(labels)] for side in (one, other))))


@torch.no_grad()
def error(run: Run) -> float:
    """The share of test images that the flat network gets wrong."""
    network, images = run.networks(None).load("flat"), run.data.test.views["image"]
    answers = torch.cat([network(batch).argmax(dim=1) for batch in images.split(1000)])
    return float((answers != run.data.test.truth).double().mean())


def outcome(recipe: str, runs: list[Run], found: list[Found]) -> dict[str, Any]:
    labels = runs[0].data.labels
    kinds = []
    for linkage, metric in KINDS:
        of_kind = [tree for tree in found if (tree.linkage, tree.metric) == (linkage, metric)]
        pairs = [agreement(one.side, other.side, len(labels)) for one, other in combinations(of_kind, 2)]
        kinds.append(
            {
                "linkage": linkage,
                "metric": metric,
                "adjusted Rand index": [tree.rand for tree in of_kind],
                "smaller side": [[labels[label] for label in sorted(tree.side)] for tree in of_kind],
                "published split found": sum(tree.rand == 1 for tree in of_kind),
                "mean adjusted Rand index between seeds": float(np.mean(pairs)) if pairs else None,
                "trees": [tree.tree.partition() for tree in of_kind],
            }
        )
    return {
        "recipe": recipe,
        "published side": [labels[label] for label in sorted(published_side(labels))],
        "networks": [network(run) for run in runs],
        "kinds": kinds,
    }


def network(run: Run) -> dict[str, Any]:
    """What the record of the trained network says, and its test error."""
    trained = run.networks(None)
    record = json.loads((trained.place("flat") / "meta.json").read_text())
    kept = ("parameters", "seconds", "architecture", "trainer", "sha256")
    return {"seed": run.recipe.seed, "test error": error(run), **{key: record[key] for key in kept}}


def page(command: str, figures: dict[str, Any], picture: str) -> str:
    networks, kinds = figures["networks"], figures["kinds"]
    seeds = [str(row["seed"]) for row in networks]
    best = sum(row["published split found"] for row in kinds)
    lines = [f"# Agglomerative trees: {figures['recipe']}", "", "Made by this command:", "", f"    {command}", ""]
    lines += [f"![Dendrograms of {len(seeds)} networks by {len(kinds)} kinds of clustering]({picture})", ""]
    lines += [
        f"The last-layer rows of {len(seeds)} networks trained on clean images, clustered. The published top split is "
        f"[{', '.join(figures['published side'])}] against the rest: {best} of {len(seeds) * len(kinds)} trees have it "
        "at their root.",
        "",
        "Adjusted Rand index of the root split against the published one (1: the same; 0: as chance), and between the",
        "root splits of two seeds:",
        "",
        "| linkage | metric | " + " | ".join(f"seed {seed}" for seed in seeds) + " | mean | between seeds |",
        "|" + "---|" * (len(seeds) + 4),
    ]
    for row in kinds:
        rand, between = row["adjusted Rand index"], row["mean adjusted Rand index between seeds"]
        shown = [*rand, float(np.mean(rand)), *([] if between is None else [between])]
        cells = [f"{value:+.2f}" for value in shown] + ["" for _ in range(between is None)]
        lines.append(f"| {row['linkage']} | {row['metric']} | " + " | ".join(cells) + " |")
    lines += ["", "The smaller side of each root split:", ""]
    lines += ["| linkage | metric | seeds | side |", "|---|---|---|---|"]
    for row in kinds:
        for side, of in grouped(seeds, row["smaller side"]).items():
            lines.append(f"| {row['linkage']} | {row['metric']} | {', '.join(of)} | {', '.join(side)} |")
    lines += ["", "## The networks", "", "| seed | parameters | test error | training seconds |", "|---|---|---|---|"]
    for row in networks:
        facts = f"{row['parameters']:,} | {100 * row['test error']:.2f}% | {row['seconds']:,.0f}"
        lines.append(f"| {row['seed']} | {facts} |")
    told = ", ".join(f"{name} {value}" for name, value in environment().items())
    return "\n".join([*lines, "", f"{told}.", ""])


def grouped(seeds: list[str], found: list[list[str]]) -> dict[tuple[str, ...], list[str]]:
    """The seeds that found each side."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for seed, side in zip(seeds, found, strict=True):
        groups.setdefault(tuple(side), []).append(seed)
    return groups


if __name__ == "__main__":
    main()
