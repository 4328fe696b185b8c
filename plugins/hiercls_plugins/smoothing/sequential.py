"""The exact group-sequential test that a probability is above p0, with few draws where it clearly is.

Counts are looked at after n_1 < ... < n_max draws, always the first ones of one stream. The probability that
a count ever reaches its boundary is computed by the recursion of Armitage, McPherson and Rowe (1969) in
binomial masses, and each look spends its share of alpha (Lan and DeMets 1983). Under a smaller p every count
is stochastically smaller, so p0 is the worst case and a probability of at most p0 passes with probability
at most alpha.

A stopped count says nothing but which boundaries it reached: a Clopper-Pearson bound computed on it would
err up to .135 at alpha .05.
"""

from enum import IntEnum
from functools import lru_cache
from itertools import accumulate
from math import isfinite, nextafter
from typing import Protocol

import numpy as np
from scipy.special import ndtr

from hiercls_plugins.smoothing.binomial import LARGEST_DRAWS, MASS_ERROR, NO_DRAWS, TRIMMED

NORMAL_ERROR = 1e-14
"""More than the absolute error of a computed normal probability (at most 1e-15)."""

PAIR_SLACK = 2.0**-24
"""The mass of one pair of normal entries that torch's float32 generator on a CPU never draws. It makes entries
in pairs by Box and Muller, inside a disc of radius sqrt(48 ln 2) = 5.768: the pair misses exp(-5.768^2 / 2),
more than twice the 8e-9 that each entry alone misses."""

LANES = 16
"""torch makes these pairs inside runs of 16 entries, each entry of the first half with that 8 places further; a draw
that fills whole runs shares no pair with another draw."""


class Decision(IntEnum):
    """What to do with an input after a look; all but the first end its draws and name the reason."""

    GO_ON = 0
    CERTIFIED = 1
    GIVEN_UP = 2
    EXHAUSTED = 3


class Mode(Protocol):
    """A certifier's mode, on counts: what an engine asks at every look, for many inputs at once.

    `state` is an array with one leading entry an input, made by `start`, so that finished inputs can be
    replaced in it; it depends on the counts at the looks so far and on nothing else.
    """

    @property
    def looks(self) -> tuple[int, ...]:
        """Draws at each look, increasing."""
        ...

    def start(self, *shape: int) -> np.ndarray:
        """The state before the first look, of inputs (N) or of inputs and opponents (N, K - 1)."""
        ...

    def look(self, at: int | np.ndarray, counts: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The decisions and the new state.

        Args:
            at: the place of the look in `looks`; an array where inputs are at looks of their own.
            counts: of the shape of `start`, among the first looks[at] draws. Every look counts, in order.
        """
        ...

    def radii(self, state: np.ndarray) -> np.ndarray:
        """The certified radii so far, float64, closed; 0 where nothing is proved. Valid whenever one stops."""
        ...


def looks(draws: int, first: int = 100, growth: float = 1.25, step: int = 1) -> tuple[int, ...]:
    """After how many draws to look: first * growth^k, rounded up to a multiple of `step`, and last `draws`.

    >>> looks(300)
    (100, 125, 157, 196, 245, 300)
    """
    if not (draws > 0 and first > 0 and growth > 1 and step > 0):
        raise ValueError(f"no looks at {draws} draws from {first} by {growth} in steps of {step}")
    found, reached = [], float(first)
    while (look := -(-reached // step) * step) < draws:
        found.append(int(look))
        reached *= growth
    return (*dict.fromkeys(found), draws)


def spending(number: int) -> tuple[float, ...]:
    """The share of alpha that each look may spend: half on the last, the rest evenly. Sums to 1."""
    return (0.5 / (number - 1),) * (number - 1) + (0.5,) if number > 1 else (1.0,)


def null_probability(radius: float, sigma: float, slack: float = 0.0) -> float:
    """p0 of the test "the certified radius is above `radius`": Phi(radius / sigma), rounded up.

    Radius 0 means no claim, so its test is that of any radius at all: the first float above 1/2.

    Args:
        slack: total variation between the draws and normal ones, `tail_slack`; added.
    """
    if not (isfinite(radius) and radius >= 0 and isfinite(sigma) and sigma > 0 and 0 <= slack < 1):
        raise ValueError(f"no test of radius {radius} at sigma {sigma} with slack {slack}")
    least = float(ndtr(radius / sigma)) + NORMAL_ERROR if radius > 0 else 0.5
    return min(1.0, nextafter(least + slack, 1.0))


def tail_slack(entries: int) -> float:
    """By how much float32 draws of torch on a CPU may misjudge a probability, for inputs of so many entries.

    Every pair of which an entry is used may miss its whole mass: an entry whose partner is not used has a marginal
    law that is off by most of it (.74, by quadrature), so half as many pairs as entries are too few for a last run
    that is not full.

    >>> tail_slack(3 * 32 * 32)
    9.1552734375e-05
    """
    runs, rest = divmod(entries, LANES)
    return (runs * (LANES // 2) + min(rest, LANES // 2)) * PAIR_SLACK


@lru_cache(maxsize=1024)
def boundaries(at: tuple[int, ...], shares: tuple[float, ...], p0: float, alpha: float) -> tuple[int, ...]:
    """The least count at each look that certifies; looks[k] + 1 where none does.

    Exact for p0: masses are charged with MASS_ERROR, and what a band trims counts as spent.

    Args:
        at: draws at each look, increasing.
        shares: of alpha, for each look; what a look leaves unspent goes to the next ones.
        p0: the largest probability that may pass with probability at most alpha.
    """
    _check(at, shares, p0, alpha)
    found, spent, drawn, band = [], 0.0, 0, NO_DRAWS
    for draws, budget in zip(at, accumulate(shares), strict=True):
        band = band.plus(draws - drawn, p0).within(draws, p0)
        spent += 2.0 * TRIMMED
        tails = band.upper_tails() * (1.0 + MASS_ERROR)
        affordable = np.flatnonzero(spent + tails <= alpha * min(1.0, budget))
        boundary = band.first + int(affordable[0]) if len(affordable) else draws + 1
        spent += float(tails[affordable[0]]) if len(affordable) else 0.0
        found.append(boundary)
        band, drawn = band.below(boundary), draws
    return tuple(found)


def _check(at: tuple[int, ...], shares: tuple[float, ...], p0: float, alpha: float) -> None:
    if not at or at[0] < 1 or any(later <= look for look, later in zip(at, at[1:], strict=False)):
        raise ValueError(f"looks must increase from at least 1: {at}")
    if at[-1] > LARGEST_DRAWS:
        raise ValueError(f"{at[-1]} draws are more than the {LARGEST_DRAWS} for which rounding errors are shown")
    if len(shares) != len(at) or min(shares) < 0 or sum(shares) > 1 + 1e-9:
        raise ValueError(f"{len(at)} looks need as many shares, at least 0 and 1 in all: {shares}")
    if not (0 <= p0 <= 1 and 0 < alpha < 1):
        raise ValueError(f"no boundaries for p0 {p0} at level {alpha}")
