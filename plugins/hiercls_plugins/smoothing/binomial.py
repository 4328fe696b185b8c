"""Masses of binomial counts, in floats that stand for exact numbers with a stated error.

Every mass comes from sums and products of positive floats, so that errors are relative and only add up. A
mass grows from its neighbour nearer the mode in 5 roundings; a band reaches at most 16,000 counts from the
mode for 10 million draws, and is divided by its own sum: relative error below 2e-11. A convolution of two
bands sums at most 33,000 products: below 4e-12 more. After the 53 looks that lead from 100 to 10 million
draws this is 1.3e-9, and `MASS_ERROR` is above it. (Convolution by FFT has an error relative to the largest
mass and would drown the tails.)

Bands are cut where Bernstein's inequality leaves at most `TRIMMED` outside.
"""

from dataclasses import dataclass
from math import ceil, exp, floor, sqrt

import numpy as np

LARGEST_DRAWS = 10_000_000
"""The most draws for which the errors of this module are shown."""

MASS_ERROR = 1e-8
"""More than the relative error of a sum of masses after all looks."""

_EXPONENT = 50.0

TRIMMED = 2.0 * exp(-_EXPONENT)
"""At least the mass outside a band: 3.9e-22."""


@dataclass(frozen=True, eq=False)
class Band:
    """Masses of consecutive counts.

    Attributes:
        first: the lowest count of the band.
        mass: (width,) float64, that of the counts first, first + 1, ...
    """

    first: int
    mass: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        return np.arange(self.first, self.first + len(self.mass))

    def plus(self, draws: int, p: float) -> "Band":
        """The counts after `draws` more; trims once."""
        added = binomial(draws, p)
        return Band(self.first + added.first, np.convolve(self.mass, added.mass))

    def within(self, draws: int, p: float) -> "Band":
        """Without the counts that `draws` draws in all reach with probability at most TRIMMED."""
        low, high = _reach(draws, p)
        low, high = max(low, self.first), min(high, self.first + len(self.mass) - 1)
        return Band(low, self.mass[low - self.first : max(low, high + 1) - self.first])

    def below(self, count: int) -> "Band":
        """Without `count` and all counts above it."""
        return Band(self.first, self.mass[: max(0, count - self.first)])

    def upper_tails(self) -> np.ndarray:
        """(width + 1,) mass of each count and all above it; last 0."""
        return np.append(np.cumsum(self.mass[::-1])[::-1], 0.0)


NO_DRAWS = Band(0, np.ones(1))
"""The count before the first draw."""


def binomial(draws: int, p: float) -> Band:
    """Binomial(draws, p) but for at most TRIMMED of its mass.

    Each side grows from the mode by the ratios of neighbouring masses; the sum is made 1.
    """
    if p in (0.0, 1.0):
        return Band(draws if p else 0, np.ones(1))
    low, high = _reach(draws, p)
    mode = min(draws, floor((draws + 1) * p))
    odds = p / (1.0 - p)
    above = np.arange(mode + 1, high + 1)
    below = np.arange(mode - 1, low - 1, -1)
    rising = np.cumprod((draws - above + 1) / above * odds)
    falling = np.cumprod((below + 1) / (draws - below) / odds)
    mass = np.concatenate([falling[::-1], [1.0], rising])
    return Band(low, mass / mass.sum())


def _reach(draws: int, p: float) -> tuple[int, int]:
    """The lowest and highest count of a band (Bernstein: 2 exp(-t^2 / (2 variance + 2t/3)) at t is TRIMMED)."""
    third = _EXPONENT / 3.0
    away = third + sqrt(third**2 + 2.0 * _EXPONENT * draws * p * (1.0 - p))
    return max(0, floor(draws * p - away)), min(draws, ceil(draws * p + away))
