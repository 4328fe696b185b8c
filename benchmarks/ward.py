"""The Ward trees below a fixed root split, from the last layer of a trained network, as `groups:` of a YAML.

    HIERCLS_DATA=... python benchmarks/ward.py configs/fashion-natural.yaml "T-shirt, Pullover, Coat"

The labels of each side are clustered alone. The network is the one called `flat`, and is trained if it is not yet.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from variants import train_told, variant

from hiercls.values.groups import groups_of
from hiercls.values.labels import Node
from hiercls_plugins.agglomerative.clustering import clustered, last_rows


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("config", type=Path)
    options.add_argument("side", help="the labels of one side of the root split, with commas between them")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--runs", type=Path, default=Path("runs"))
    asked = options.parse_args()
    run = variant(asked.config, {"name": f"{asked.config.stem}-seed-{asked.seed}", "seed": asked.seed}, asked.runs)
    train_told(run)
    labels = run.data.labels
    rows = last_rows(run.networks(None).load("flat"), len(labels), "flat")
    side = frozenset(labels.index(name.strip()) for name in asked.side.split(","))
    for part in (side, frozenset(range(len(labels))) - side):
        print(json.dumps(ward_groups(labels, rows, part)))


def ward_groups(labels: tuple[str, ...], rows: np.ndarray, side: Node) -> Any:
    """The groups of one side: Ward linkage of l2 distances between its rows alone.

    Args:
        rows: (L, features), one a label.
    """
    members = sorted(side)
    return groups_of(clustered(tuple(labels[label] for label in members), rows[members], "ward", "l2").tree)


if __name__ == "__main__":
    main()
