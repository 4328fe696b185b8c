"""From counts to certified radii: the statistics of randomised smoothing, without torch.

`counts` always has K + 1 cells: the draws on which each of K children won, and last those on which the
network gave no finite answer. The last cell is never counted for a child and always against the chosen one.

Every bound is moved outward by more than the rounding error of its own formula, and every radius is then
stored one float lower: theorems speak of open balls, certificates of closed ones.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import floor, log

import numpy as np
from scipy.special import betainc, betainccinv, ndtri

BOUND_ERROR = 1e-14
"""More than the absolute error of a computed Clopper-Pearson bound (at most 2e-15 up to 10 million draws)."""

QUANTILE_ERROR = 1e-14
"""More than the relative error of a computed normal quantile (at most 1e-15)."""


@dataclass(frozen=True)
class Radii:
    """What one column proves of one decision.

    Attributes:
        own: the decision cannot change within it; valid at alpha.
        targeted: (K,) float64, a radius for each child, 0 for the chosen one; valid together at alpha.
        lower: the lower bound on the probability of the chosen child from which they were computed.
    """

    own: float
    targeted: np.ndarray
    lower: float


def lower_bound(count: int, draws: int, alpha: float) -> float:
    """The Clopper-Pearson lower bound on a probability, one-sided at level alpha.

    >>> round(lower_bound(990, 1000, 0.001), 4)
    0.976
    """
    return max(0.0, 1.0 - upper_bound(draws - count, draws, alpha))


def upper_bound(count: int, draws: int, alpha: float) -> float:
    """The Clopper-Pearson upper bound on a probability, one-sided at level alpha.

    The largest p under which `count` or fewer of `draws` have probability alpha; 1 where all draws count.
    """
    if not (0 <= count <= draws and draws > 0 and 0 < alpha < 1):
        raise ValueError(f"no bound for {count} of {draws} draws at level {alpha}")
    if count == draws:
        return 1.0
    return min(1.0, float(betainccinv(count + 1, draws - count, alpha)) + BOUND_ERROR)


def one_sided(counts: np.ndarray, chosen: int, sigma: float, alpha: float, slack: float = 0.0) -> Radii:
    """Cohen's radius, sigma Phi^-1(pA), where pA > 1/2 (Cohen et al. 2019, Algorithm 1).

    Every other child has probability at most 1 - pA: one bound gives the decision's own radius and every
    targeted radius at once, so that alpha is not divided.

    Args:
        slack: total variation between the draws and normal ones; moves every bound outward.
    """
    lower = max(0.0, lower_bound(int(counts[chosen]), int(counts.sum()), alpha) - slack)
    own = _radius(lower, 1.0 - lower, sigma)
    return Radii(own, _without(np.full(len(counts) - 1, own), chosen), lower)


def two_sided(counts: np.ndarray, chosen: int, sigma: float, alpha: float, slack: float = 0.0) -> Radii:
    """sigma/2 (Phi^-1(pA) - Phi^-1(pB)) (Cohen et al. 2019, Theorem 1), also where pA is below 1/2.

    pA is bounded at 0.9 alpha. The own radius takes the largest other count, lost draws included, at
    0.1 alpha: the bound on the true runner-up is never above the bound on that count, so no union over
    children is needed. Targeted radii must hold together: each child's own count, at 0.1 alpha / (K - 1).
    """
    draws = int(counts.sum())
    lower = max(0.0, lower_bound(int(counts[chosen]), draws, 0.9 * alpha) - slack)
    others = np.delete(counts, chosen)
    own = _radius(lower, upper_bound(int(others.max()), draws, 0.1 * alpha) + slack, sigma)
    share = 0.1 * alpha / max(1, len(counts) - 2)
    targeted = [_radius(lower, upper_bound(int(count), draws, share) + slack, sigma) for count in counts[:-1]]
    return Radii(own, _without(np.array(targeted), chosen), lower)


COLUMNS: Mapping[str, Callable[[np.ndarray, int, float, float, float], Radii]] = {
    "one-sided": one_sided,
    "two-sided": two_sided,
}
"""The bounds by name. A recipe fixes one; the larger of two is never taken at the level of one."""


def leader(counts: np.ndarray) -> int:
    """The cell with the most draws, ties to the lowest; the last cell leads only where no child reaches it."""
    return int(np.argmax(counts))


def confirms(counts: np.ndarray, candidate: int, alpha: float, slack: float = 0.0) -> bool:
    """Whether fresh draws confirm a candidate that other draws named.

    Cohen's two-sided binomial test of the two largest counts (Cohen et al. 2019, Algorithm 1, Predict;
    after Hung and Fithian 2019), the candidate leading. A wrong candidate is confirmed with
    probability at most alpha.

    With slack a wrong candidate may lead some rival by 2 slack among the draws, and so win a share of at most
    1/2 + slack / pA of the draws that either wins: pA is bounded at a hundredth of alpha, the rest tests.
    """
    won, runner_up = int(counts[candidate]), int(np.delete(counts, candidate).max())
    if won <= runner_up:
        return False
    if slack == 0:
        return two_sided_p(won, runner_up) <= alpha
    least = lower_bound(won, int(counts.sum()), 0.01 * alpha)
    chance = 0.5 + slack / least if least > 0 else 1.0
    return chance < 1 and two_sided_p(won, runner_up, chance) <= 0.99 * alpha


def two_sided_p(larger: int, smaller: int, chance: float = 0.5) -> float:
    """Twice the probability of the larger count or more, where it wins each draw with `chance`."""
    return min(1.0, 2.0 * float(betainc(larger, smaller + 1, chance)) * (1.0 + 1e-12))


def cap(sigma: float, draws: int, level: float) -> float:
    """The radius when every draw agrees, sigma Phi^-1(level^(1/draws)): no radius can be larger.

    Args:
        level: alpha for one-sided bounds, 0.9 alpha for two-sided ones.
    """
    return max(0.0, sigma * float(ndtri(level ** (1.0 / draws))))


def smallest_draws(alpha: float) -> int:
    """The fewest draws that can certify anything: alpha^(1/n) must exceed 1/2.

    >>> smallest_draws(0.001)
    10
    """
    return floor(log(alpha) / log(0.5)) + 1


def _radius(lower: float, upper: float, sigma: float) -> float:
    """The closed radius of two bounds; 0 where they prove nothing."""
    upper = min(upper, 1.0 - lower)
    if lower <= upper:
        return 0.0
    reach, other = float(ndtri(lower)), float(ndtri(upper))
    lowered = reach - other - QUANTILE_ERROR * (abs(reach) + abs(other))
    return max(0.0, float(np.nextafter(sigma * 0.5 * lowered * (1.0 - QUANTILE_ERROR), -np.inf)))


def _without(radii: np.ndarray, chosen: int) -> np.ndarray:
    radii[chosen] = 0.0
    return radii
