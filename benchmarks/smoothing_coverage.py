"""How often smoothed certificates claim too much, in every mode of the engine, on half-spaces with exact radii.

Two labels part at a hyperplane across the first coordinate, below a node that parts a third label at one across the
second (`apart`) or the first again (`along`), so that both nodes of a path are restricted from one network and share
all draws. Every repetition is one input of its own noise, and goes through the engine's own look-and-retire code: real
draws, real passes in which twenty inputs stand together, real counts. A claim is too large where a stored radius
exceeds the one that exact probabilities give. Three columns: own radii of one node, the minimum over the path, and all
targeted radii of the path together, the last also with alpha divided beforehand (`joint`).

A rate above its level counts as a failure where it lies above the 1 - 1e-6 quantile of Binomial(repetitions, level).

    python benchmarks/smoothing_coverage.py --repetitions 10000 --output docs/results/smoothing-coverage.json
"""

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from outcome import publish
from scipy.stats import binom, norm

from hiercls.contracts.context import Context
from hiercls.contracts.provers import Claim, Proof
from hiercls.values.heads import restricted
from hiercls.values.views import Inputs
from hiercls_plugins.smoothing.certifier import Smoothing

RADIUS = 0.2
"""Tested radii lie this far, and the hyperplanes a little nearer: the worst case of a test."""
TRUE = float(norm.ppf(norm.cdf(RADIUS) - 1e-9))

ROOT = restricted([frozenset({0, 1}), frozenset({2})])
LEAF = restricted([frozenset({0}), frozenset({1})])

STOPS: dict[str, Any] = {
    "fixed": "fixed",
    "one radius": {"grid": {"radii": [RADIUS]}},
    "grid": {"grid": {"radii": [0.0, 0.1, RADIUS, 0.3]}},
    "tolerance": {"tolerance": 0.1},
}
BOUNDS: dict[str, dict[str, str]] = {
    "one-sided": {},
    "two-sided": {"column": "two-sided"},
    "pairwise": {"rule": "pairwise"},
}


class Halves(torch.nn.Module):
    """Label 2 beyond the hyperplane across coordinate `across`, else label 1 beyond the one across the first."""

    def __init__(self, across: int):
        super().__init__()
        self.across = across

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        leaf = x[:, 0] - TRUE
        outside = torch.where(x[:, self.across] > TRUE, 1e6, -1e6)
        return torch.stack([-leaf, leaf, outside], dim=1)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--repetitions", type=int, default=10_000)
    options.add_argument("--draws", type=int, default=1_000)
    options.add_argument("--alpha", type=float, default=0.05)
    options.add_argument("--output", type=Path)
    asked = options.parse_args()
    torch.set_num_threads(1)
    found = [
        _case(stop, bound, across, asked)
        for stop, bound, across in itertools.product(STOPS, BOUNDS, ("apart", "along"))
    ]
    command = f"python benchmarks/smoothing_coverage.py --repetitions {asked.repetitions} --draws {asked.draws}"
    outcome = {"alpha": asked.alpha, "repetitions": asked.repetitions, "cases": found}
    publish(f"{command} --alpha {asked.alpha}", outcome, asked.output)
    if not all(case["holds"] for case in found):
        raise SystemExit(6)


def _case(stop: str, bound: str, across: str, asked: argparse.Namespace) -> dict[str, Any]:
    """The rates of one mode on one network."""
    certifier = Smoothing(sigma=1.0, draws=asked.draws, stop=STOPS[stop], block=100, tile=2_000, **BOUNDS[bound])
    network = Halves(1 if across == "apart" else 0)

    def rates(alpha: float) -> tuple[float, float, float]:
        prover = certifier.deploy(network, (ROOT, LEAF), "image", Context(alpha=alpha))
        counted = [_errors(proof) for proof in prover.prove(_claims(asked.repetitions))]
        own, path, joint = (sum(each) / asked.repetitions for each in zip(*counted, strict=True))
        return own, path, joint

    own, path, joint = rates(asked.alpha)
    divided = rates(asked.alpha / 2)[2]
    levels = {
        "own": (own, asked.alpha),
        "path": (path, asked.alpha),
        "together": (joint, 2 * asked.alpha),
        "joint": (divided, asked.alpha),
    }
    holds = all(_plausible(rate, level, asked.repetitions) for rate, level in levels.values())
    told = {name: {"rate": rate, "level": level} for name, (rate, level) in levels.items()}
    return {"stop": stop, "bound": bound, "second hyperplane": across, **told, "holds": holds}


def _claims(count: int) -> Iterator[Claim]:
    for k in range(count):
        yield Claim(Inputs(torch.tensor([k]), {"image": torch.zeros(1, 2)}), {ROOT: 0, LEAF: 0})


def _errors(proof: Proof) -> tuple[bool, bool, bool]:
    """Whether the leaf's own radius, the minimum over the path, or any targeted radius is too large."""
    own = {head: row.own for head, row in proof.rows.items()}
    targeted = [radius for row in proof.rows.values() for radius in row.radii]
    return own[LEAF] > TRUE, min(own.values()) > TRUE, max(targeted) > TRUE


def _plausible(rate: float, level: float, count: int) -> bool:
    return round(rate * count) <= binom.isf(1e-6, count, level)


if __name__ == "__main__":
    main()
