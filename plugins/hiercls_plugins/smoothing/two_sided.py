"""Two-sided radii with few draws: the bounds of every look have a share of alpha of their own.

A radius from two probabilities has no single count to test, so each look spends its share on bounds of both.
All hold together at alpha; the best radius over the looks therefore does, whenever one stops, and when to stop
is a matter of cost alone.
"""

from dataclasses import dataclass

import numpy as np

from hiercls_plugins.smoothing.grid import SMALLEST_RADIUS
from hiercls_plugins.smoothing.sequential import Decision, spending
from hiercls_plugins.smoothing.statistics import Radii, two_sided


@dataclass(frozen=True, eq=False)
class TwoSided:
    """A mode of two-sided bounds (a `Mode`); its state is the best own radius, then the best targeted ones.

    Counts are (N, K + 1): the chosen child, the others, the lost draws. A state is (N, K).

    Attributes:
        looks: draws at each look.
        levels: of the bounds at each look; alpha in all.
        goals: radii, increasing: draws end once no further one is in sight. Empty: once the radius is within
            `tolerance` of what all draws would give.
        tolerance: the relative loss of radius that ends the draws.
        slack: total variation between the draws and normal ones; moves every bound.
    """

    looks: tuple[int, ...]
    levels: tuple[float, ...]
    sigma: float
    goals: tuple[float, ...]
    tolerance: float
    slack: float

    def start(self, *shape: int) -> np.ndarray:
        inputs, opponents = shape
        return np.zeros((inputs, opponents + 1))

    def look(self, at: int | np.ndarray, counts: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        places = np.broadcast_to(at, len(counts))
        found = [self._bounds(row, self.levels[k]) for k, row in zip(places, counts, strict=True)]
        fresh = np.array([[each.own, *each.targeted[1:]] for each in found]).reshape(state.shape)
        state = np.maximum(state, fresh)
        decisions = [
            self._decision(int(k), row, own) for k, row, own in zip(places, counts, state[:, 0].tolist(), strict=True)
        ]
        return np.array(decisions), state

    def radii(self, state: np.ndarray) -> np.ndarray:
        return state[:, 0]

    def targeted_radii(self, state: np.ndarray) -> np.ndarray:
        """(N, K - 1) to each other child, valid together at alpha."""
        return state[:, 1:]

    def _bounds(self, counts: np.ndarray, level: float) -> Radii:
        return two_sided(counts, 0, self.sigma, level, self.slack)

    def _decision(self, at: int, counts: np.ndarray, own: float) -> Decision:
        if self._enough(counts, own):
            return Decision.CERTIFIED
        if at == len(self.looks) - 1:
            return Decision.EXHAUSTED
        wanted = next((goal for goal in self.goals or (SMALLEST_RADIUS,) if goal > own), None)
        hopeless = wanted is not None and self._prospect(counts, 3.0) < wanted
        return Decision.GIVEN_UP if hopeless else Decision.GO_ON

    def _enough(self, counts: np.ndarray, own: float) -> bool:
        if self.goals:
            return own > 0 and own >= self.goals[-1]
        return own > 0 and own >= (1.0 - self.tolerance) * self._prospect(counts, 0.0)

    def _prospect(self, counts: np.ndarray, deviations: float) -> float:
        """The radius of the last look, were the chosen child's frequency that of this one and so much better."""
        draws, last = int(counts.sum()), self.looks[-1]
        won = int(counts[0])
        gain = deviations * (np.sqrt(won * (draws - won) / draws) + 1.0) if deviations else 0.0
        hoped = counts.astype(np.float64)
        hoped[0] = min(draws, won + gain)
        rest = hoped[1:].sum()
        hoped[1:] *= (draws - hoped[0]) / rest if rest else 0.0
        scaled = np.floor(hoped * (last / draws)).astype(np.int64)
        scaled[0] += last - scaled.sum()
        return self._bounds(scaled, self.levels[-1]).own


def two_sided_within(
    looks: tuple[int, ...], sigma: float, alpha: float, slack: float, goals: tuple[float, ...], tolerance: float
) -> TwoSided:
    """Two-sided bounds at every look, until the goals or the tolerance are reached."""
    # One millionth less than alpha: sums and products of the levels round by far less.
    levels = tuple(alpha * (1.0 - 1e-6) * share for share in spending(len(looks)))
    return TwoSided(looks, levels, sigma, tuple(max(goal, SMALLEST_RADIUS) for goal in goals), tolerance, slack)
