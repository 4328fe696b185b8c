"""Recipes of small runs on digits, and the rows that runs store."""

import json

from hiercls.whole.proofs import timeless

MIXED = """
name: mixed
data: {dataset: digits}
threat: {norm: linf, budgets: [0.02]}
networks:
  flat:
    architecture: {mlp: {hidden: [32]}}
    trainer: {ibp: {eps: 0.05, ramp: [1, 3], schedule: {epochs: 4, batch: 32}}}
tree: {groups: {round: ["0", "6", "8", "9", "3", "5"], straight: ["1", "2", "4", "7"]}}
nodes:
  all: {architecture: {mlp: {hidden: [32]}}, trainer: {standard: {schedule: {epochs: 3}}}}
  root: {trainer: {ibp: {eps: 0.05, ramp: [1, 4], schedule: {epochs: 8, batch: 32}}}}
baseline: flat
metrics: [verified-error]
certify: {inputs: 60}
audit: {inputs: 20, attack: {pgd: {steps: 10, restarts: 2}}}
"""


def smoothed(sigma: float, epochs: int, votes: str, inputs: int) -> str:
    """A tree restricted from one smoothed network, beside it.

    Args:
        votes: options of the certifier.
    """
    return f"""
name: smoothed
data: {{dataset: digits}}
threat: {{norm: l2, budgets: [0.25]}}
networks:
  flat:
    architecture: {{mlp: {{hidden: [32]}}}}
    trainer: {{gaussian: {{sigma: {sigma}, schedule: {{epochs: {epochs}}}}}}}
    certifier: {{smoothing: {{{votes}, tile: 100}}}}
tree: {{groups: {{low: [["0", "1"], ["2", "3", "4"]], high: ["5", "6", "7", "8", "9"]}}}}
nodes: {{all: {{restrict: flat}}}}
baseline: flat
certify: {{inputs: {inputs}}}
"""


SMOOTHED = (
    smoothed(0.25, 6, "draws: 1000, audit: 1000", 25)
    + """
audit: {inputs: 10, attack: {pgd: {steps: 5, restarts: 1, draws: 4}}}
"""
)


def rows(run, kind):
    """All stored rows of a kind without their seconds, by folder and input."""
    found = {}
    for part in sorted((run.folder / kind).glob("*/part-*.jsonl")):
        for line in part.read_text().splitlines():
            row = json.loads(line)
            assert (part.parent.name, row["index"]) not in found, "a row is stored twice"
            found[part.parent.name, row["index"]] = timeless(row)
    return found
