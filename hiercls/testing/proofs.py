"""Claims about an oracle's inputs, and the proofs as tensors."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from scipy import stats

from hiercls.contracts.provers import Claim, Proof, Prover
from hiercls.values.heads import Head
from hiercls.values.views import Inputs


@dataclass(frozen=True)
class Proved:
    """The rows of one decision, in the order of the inputs.

    Attributes:
        own: (N,) float64.
        radii: (N, children) float64.
    """

    own: torch.Tensor
    radii: torch.Tensor


def claims(inputs: Inputs, chosen: Mapping[Head, torch.Tensor]) -> list[Claim]:
    return [
        Claim(inputs[n : n + 1], {head: int(child[n]) for head, child in chosen.items()}) for n in range(len(inputs))
    ]


def prove(prover: Prover, inputs: Inputs, chosen: Mapping[Head, torch.Tensor]) -> dict[int, Proof]:
    """The proofs by index, each checked for its form."""
    asked = claims(inputs, chosen)
    found: dict[int, Proof] = {}
    for proof in prover.prove(iter(asked)):
        assert proof.index not in found, f"input {proof.index} was proved twice"
        found[proof.index] = proof
    assert found.keys() == {claim.index for claim in asked}, "every claim gets one proof, named by its index"
    for claim in asked:
        _require_form(claim, found[claim.index])
    return found


def _require_form(claim: Claim, proof: Proof) -> None:
    assert proof.rows.keys() == claim.chosen.keys(), "a proof has one row for each decision that the claim names"
    for head, row in proof.rows.items():
        assert row.chosen == claim.chosen[head], "a row is about the child that was claimed"
        assert len(row.radii) == len(head.children), "a row has one targeted radius a child"
        assert row.own >= 0, f"an own radius is never negative and never NaN, found {row.own}"
        assert all(radius >= 0 for radius in row.radii), f"a radius is never negative and never NaN: {row.radii}"
        assert row.radii[row.chosen] == 0, "the radius of the claimed child is 0"


def table(proofs: Mapping[int, Proof], head: Head, count: int) -> Proved:
    rows = [proofs[n].rows[head] for n in range(count)]
    own = torch.tensor([row.own for row in rows], dtype=torch.float64)
    return Proved(own, torch.tensor([row.radii for row in rows], dtype=torch.float64))


def counted(claims: list[Claim], pulled: list[int]) -> Iterator[Claim]:
    """The claims, noting each that is pulled."""
    for claim in claims:
        pulled.append(claim.index)
        yield claim


def most_failures(trials: int, alpha: float) -> int:
    """How many of independent rows may fail before their level is refuted at 1e-6."""
    return 0 if alpha == 0 else int(stats.binom.ppf(1 - 1e-6, trials, alpha))


def one_sided_radius(distance: float, sigma: float, draws: int, alpha: float) -> tuple[float, float]:
    """Mean and variance of Cohen's certified radius of a linear decision at a known l2 distance.

    The noisy input is on the right side with probability Phi(distance / sigma), so the count is binomial
    and the radius a function of it (Cohen et al. 2019, section 3.2.2; Clopper-Pearson at alpha).
    """
    import numpy as np

    counts = np.arange(draws + 1)
    weights = stats.binom.pmf(counts, draws, stats.norm.cdf(distance / sigma))
    lower = np.where(counts > 0, stats.beta.ppf(alpha, counts, draws - counts + 1), 0.0)
    radii = np.where(lower > 0.5, sigma * stats.norm.ppf(np.maximum(lower, 0.5)), 0.0)
    mean = float(weights @ radii)
    return mean, float(weights @ (radii - mean) ** 2)
