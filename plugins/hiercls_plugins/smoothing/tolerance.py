"""The radius itself, within a tolerance, with as many draws as that takes.

Each look has a share of alpha and a Clopper-Pearson bound of its own at that level. All hold together at
alpha, hence the best of them does, whenever one stops. When to stop is a matter of cost alone: once the
radius is within the tolerance of what all draws would give at the frequency seen so far.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import betainccinv, ndtri

from hiercls_plugins.smoothing.grid import hopeless_counts
from hiercls_plugins.smoothing.sequential import Decision, spending
from hiercls_plugins.smoothing.statistics import BOUND_ERROR, QUANTILE_ERROR


@dataclass(frozen=True, eq=False)
class Tolerance:
    """The mode that certifies a radius within a tolerance (a `Mode`); its state is the best lower bound so far.

    Attributes:
        tolerance: the relative loss of radius that ends the draws, in [0, 1).
        sigma: standard deviation of the noise, in units of the view.
        looks: (L,) draws at each look.
        levels: (L,) of the bound at each look; alpha in all.
        hopeless: (L,) the largest count that gives up where no radius is proved; -1 where none does.
        slack: total variation between the draws and normal ones; subtracted from every bound.
    """

    tolerance: float
    sigma: float
    looks: tuple[int, ...]
    levels: tuple[float, ...]
    hopeless: tuple[int, ...]
    slack: float

    def start(self, *shape: int) -> np.ndarray:
        return np.zeros(shape)

    def look(self, at: int | np.ndarray, counts: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        draws, level = np.array(self.looks)[at], np.array(self.levels)[at]
        state = np.maximum(state, lower_bounds(counts, draws, level) - self.slack)
        proved = self.radii(state)
        enough = (proved > 0) & (proved >= (1.0 - self.tolerance) * self._prospect(counts, draws))
        hopeless = (proved == 0) & (counts <= np.array(self.hopeless)[at])
        decision = np.where(hopeless, Decision.GIVEN_UP, Decision.GO_ON)
        decision = np.where(np.asarray(at) == len(self.looks) - 1, Decision.EXHAUSTED, decision)
        return np.where(enough, Decision.CERTIFIED, decision), state

    def radii(self, state: np.ndarray) -> np.ndarray:
        return majority_radii(state, self.sigma)

    def _prospect(self, counts: np.ndarray, draws: np.ndarray) -> np.ndarray:
        """The radius of the last look, were its frequency that of this one."""
        scaled = counts * self.looks[-1] // draws
        return self.radii(lower_bounds(scaled, np.array(self.looks[-1]), np.array(self.levels[-1])) - self.slack)


@lru_cache(maxsize=256)
def within(tolerance: float, sigma: float, looks: tuple[int, ...], alpha: float, slack: float = 0.0) -> Tolerance:
    """The radius within a relative tolerance of what looks[-1] draws would give.

    Args:
        looks: draws at each look (`sequential.looks`).
        alpha: probability, at most, that the radius of one input is too large.
    """
    if not (0 <= tolerance < 1 and 0 < alpha < 1 and 0 <= slack < 1):
        raise ValueError(f"no radius within {tolerance} at level {alpha} with slack {slack}")
    # One millionth less than alpha: sums and products of the levels round by far less.
    levels = tuple(alpha * (1.0 - 1e-6) * share for share in spending(len(looks)))
    least = _least_majority(looks[-1], levels[-1], slack)
    return Tolerance(tolerance, sigma, looks, levels, hopeless_counts(looks, least), slack)


def lower_bounds(counts: np.ndarray, draws: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """`statistics.lower_bound` of arrays that broadcast.

    >>> lower_bounds(np.array([0, 990]), np.array(1000), np.array(0.001)).round(4).tolist()
    [0.0, 0.976]
    """
    counts, draws, levels = np.broadcast_arrays(counts, draws, levels)
    if (counts < 0).any() or (counts > draws).any():
        raise ValueError("a count is negative or above the number of draws")
    some = counts > 0
    upper = betainccinv(np.where(some, draws - counts, 0) + 1, np.where(some, counts, 1), levels)
    return np.where(some, np.maximum(0.0, 1.0 - (upper + BOUND_ERROR)), 0.0)


def majority_radii(lower: np.ndarray, sigma: float) -> np.ndarray:
    """sigma Phi^-1(lower) rounded down to a closed radius; 0 where `lower` is no majority."""
    lower = np.asarray(lower, np.float64)
    reach = ndtri(np.where(lower > 0.5, lower, 0.5)) * (1.0 - 2.0 * QUANTILE_ERROR)
    return np.maximum(0.0, np.nextafter(sigma * reach, -np.inf))


def _least_majority(draws: int, level: float, slack: float) -> int:
    """The least count that proves a majority; draws + 1 where none does."""
    counts = np.arange(draws // 2, draws + 1)
    proves = lower_bounds(counts, np.array(draws), np.array(level)) - slack > 0.5
    return int(counts[proves][0]) if proves.any() else draws + 1
