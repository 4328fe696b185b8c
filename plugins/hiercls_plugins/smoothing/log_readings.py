"""What a Cohen log says: accuracy against radius, the average certified radius, the alpha behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil

import numpy as np
from scipy.special import log_ndtr
from scipy.stats import binom

from hiercls_plugins.smoothing.cohen_log import ABSTAINED, Entry

CUSTOMARY = (0.1, 0.05, 0.01, 0.005, 0.001, 5e-4, 1e-4, 5e-5, 1e-5, 5e-6, 1e-6)
"""The alphas that a log is tried against."""

ENOUGH_AT_THE_CAP = 7
"""Inputs that must share the largest radius before it is taken for the cap."""


@dataclass(frozen=True)
class Share:
    """Certified accuracy at one radius.

    Attributes:
        accuracy: the share of all inputs answered right with at least this radius.
        at_least: what the accuracy of the ideal classifier is not below, with probability 1 - rho.
    """

    radius: float
    accuracy: float
    at_least: float


@dataclass(frozen=True)
class Alpha:
    """What the largest radius of a log tells about its alpha.

    Attributes:
        value: the alpha; None where it cannot be told.
        above: alpha is certainly at least this, since no radius exceeds the cap.
        reason: one sentence for the person who asked.
    """

    value: float | None
    above: float
    reason: str


def certified_accuracy(entries: Sequence[Entry], radii: Sequence[float]) -> np.ndarray:
    """(len(radii),) the share of inputs answered right with at least each radius; a radius of 0 claims nothing."""
    proved = np.array([entry.radius if entry.correct else 0.0 for entry in entries])
    return np.array([((proved > 0) & (proved >= radius)).mean() for radius in radii])


def average_radius(entries: Sequence[Entry]) -> float:
    """ACR: the mean radius, counting 0 for a wrong answer or none (Zhai et al. 2020)."""
    return float(np.mean([entry.radius if entry.correct else 0.0 for entry in entries]))


def accuracy_table(entries: Sequence[Entry], radii: Sequence[float], alpha: float, rho: float) -> list[Share]:
    """Certified accuracy at each radius, each with its bound at rho; bounds of two radii do not hold together."""
    lost = overclaims(len(entries), alpha, rho) / len(entries)
    shares = certified_accuracy(entries, radii).tolist()
    return [Share(radius, share, max(0.0, share - lost)) for radius, share in zip(radii, shares, strict=True)]


def overclaims(inputs: int, alpha: float, rho: float, independent: bool = True) -> int:
    """How many of the inputs are wrongly certified at most, with probability 1 - rho.

    Certified accuracy is then at least the counted one less overclaims / inputs. With draws independent
    between inputs this is the 1 - rho quantile of Binomial(inputs, alpha); otherwise Markov's bound
    inputs * alpha / rho. (The formula in Cohen's code lacks a factor 2 under its root.)
    """
    if not (inputs > 0 and 0 < alpha < 1 and 0 < rho < 1):
        raise ValueError(f"no bound for {inputs} inputs at alpha {alpha} and rho {rho}")
    return int(binom.isf(rho, inputs, alpha)) if independent else min(inputs, ceil(inputs * alpha / rho))


def detect_alpha(entries: Sequence[Entry], sigma: float, draws: int) -> Alpha:
    """The alpha of a log whose sigma and draws are known, from its largest radius, sigma Phi^-1(alpha^(1/draws)).

    Told only where so many inputs share that radius that it must be the cap, and one customary alpha fits
    it as printed. One-sided bounds are assumed.
    """
    if not (sigma > 0 and draws > 0):
        raise ValueError(f"no alpha of sigma {sigma} and {draws} draws")
    largest = max((entry.radius for entry in entries if entry.predict != ABSTAINED), default=0.0)
    if largest == 0.0:
        return Alpha(None, 0.0, "alpha cannot be told: no input is certified")
    above, below = _implied(largest, sigma, draws, entries)
    sharing = sum(entry.radius == largest for entry in entries)
    if above >= 0.5:
        reason = f"radius {largest:g} is impossible with sigma {sigma:g} and {draws} draws at any alpha"
        return Alpha(None, above, reason)
    if not _is_cap(largest, entries):
        reason = f"{sharing} of {len(entries)} inputs have the largest radius, {largest:g}, which need not be the cap"
        return Alpha(None, above, f"alpha cannot be told: {reason}; it is at least {above:.2g}")
    fitting = [alpha for alpha in CUSTOMARY if above <= alpha <= below]
    if len(fitting) == 1:
        return Alpha(fitting[0], above, f"alpha is {fitting[0]:g}: {sharing} inputs share its cap, {largest:g}")
    named = " and ".join(f"{alpha:g}" for alpha in fitting) or "no customary alpha"
    reason = f"{named} fits the cap {largest:g}, which is that of {above:.2g} to {below:.2g}"
    return Alpha(None, above, f"alpha cannot be told: {reason}")


def _is_cap(largest: float, entries: Sequence[Entry]) -> bool:
    """Whether inputs at the largest radius are so many that some of them must be unanimous.

    Near the cap, c(j) inputs j draws short of unanimous are a mixture of Poisson masses, for which
    c(0) c(2) >= c(1)^2 / 2 in expectation (Cauchy and Schwarz), and likewise higher up. Were the largest
    radius one draw short, ENOUGH_AT_THE_CAP unanimous inputs would be expected where there is none.
    """
    radii, counts = np.unique([entry.radius for entry in entries], return_counts=True)
    sharing, following = int(counts[-1]), int(counts[-2]) if len(counts) > 1 and radii[-2] > 0 else 1
    return sharing >= ENOUGH_AT_THE_CAP and sharing**2 >= 2 * ENOUGH_AT_THE_CAP * following


def _implied(cap: float, sigma: float, draws: int, entries: Sequence[Entry]) -> tuple[float, float]:
    """The alphas whose cap prints as this one: rounded to nearest or down, to the digits of the log."""
    half = 0.5 * _last_digit(cap, entries)
    low, high = (float(np.exp(draws * log_ndtr(value / sigma))) for value in (cap - half, cap + 2.0 * half))
    return low * (1.0 - 1e-4), min(1.0, high * (1.0 + 1e-4))


def _last_digit(cap: float, entries: Sequence[Entry]) -> float:
    """One unit of the last digit printed of the cap, in a log whose longest radius shows how many are printed."""
    digits = max(3, *(len(Decimal(repr(entry.radius)).normalize().as_tuple().digits) for entry in entries))
    return float(Decimal(1).scaleb(Decimal(repr(cap)).adjusted() + 1 - digits))
