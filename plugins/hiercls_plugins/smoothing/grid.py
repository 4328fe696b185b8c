"""Which of some given radii are certified: one sequential test a radius, nested, on the same draws.

Boundaries are made increasing in the radius by a running maximum, which keeps each test valid. A count that
passes at one radius then passes at every smaller one: any false claim contains that of the smallest false
radius, so the whole grid holds at alpha without correction. Nothing between the given radii is claimed.

Giving up is the same test turned round. With p1 the probability at which an input is certified about every
second time, an input of p1 or more is given up, at whichever look, with probability at most `FUTILITY`;
far above p1 it never is, so that only the few inputs near p1 pay. Sequential boundaries and giving up
together cost at most .13 points of certified accuracy against fixed n = 100,000 at alpha .001, radii 0 to 3
sigma, on the probabilities that three of Cohen's published logs imply (two of CIFAR-10, one of ImageNet; by
`expectation`), most of it at the largest radius. Giving up is not binding: the boundaries are those of a test
that never gives up.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import nextafter

import numpy as np

from hiercls_plugins.smoothing.binomial import binomial
from hiercls_plugins.smoothing.sequential import Decision, boundaries, null_probability, spending

FUTILITY = 0.05
"""How often an input is given up that would be certified at least every second time."""

SMALLEST_RADIUS = nextafter(0.0, 1.0)
"""What a certified radius 0 is stored as, since 0 means no claim."""


@dataclass(frozen=True, eq=False)
class Grid:
    """The mode that certifies the largest of some radii (a `Mode`); its state is how many are certified.

    Attributes:
        given: (G,) the radii, increasing; `given[0]` may be 0.
        looks: (L,) draws at each look.
        shares: (L,) of alpha, for each look.
        alpha: the probability of a false claim, for the whole grid.
        certifying: (L, G) int64, the least count that certifies; looks + 1 where none does.
        hopeless: (L, G) int64, the largest count that gives up; -1 where none does.
    """

    given: tuple[float, ...]
    looks: tuple[int, ...]
    shares: tuple[float, ...]
    alpha: float
    certifying: np.ndarray
    hopeless: np.ndarray

    def start(self, *shape: int) -> np.ndarray:
        return np.zeros(shape, np.int64)

    def look(self, at: int | np.ndarray, counts: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        reached = counts[..., None]
        state = np.maximum(state, (reached >= self.certifying[at]).sum(axis=-1))
        hopeful = (reached > self.hopeless[at]).sum(axis=-1)
        decision = np.where(hopeful <= state, Decision.GIVEN_UP, Decision.GO_ON)
        decision = np.where(np.asarray(at) == len(self.looks) - 1, Decision.EXHAUSTED, decision)
        return np.where(state == len(self.given), Decision.CERTIFIED, decision), state

    def radii(self, state: np.ndarray) -> np.ndarray:
        return np.array([0.0, *(max(radius, SMALLEST_RADIUS) for radius in self.given)])[state]


@lru_cache(maxsize=256)
def grid(radii: tuple[float, ...], sigma: float, looks: tuple[int, ...], alpha: float, slack: float = 0.0) -> Grid:
    """The sequential test of these radii; one radius is a grid of one.

    Args:
        radii: increasing, at least 0, in units of the view.
        looks: draws at each look (`sequential.looks`).
        alpha: probability of a false claim, at most.
        slack: total variation between the draws and normal ones (`sequential.tail_slack`).
    """
    if not radii or any(larger <= radius for radius, larger in zip(radii, radii[1:], strict=False)):
        raise ValueError(f"a grid needs at least one radius, and increasing ones: {radii}")
    shares = spending(len(looks))
    alone = [boundaries(looks, shares, null_probability(radius, sigma, slack), alpha) for radius in radii]
    certifying = np.maximum.accumulate(np.array(alone, np.int64), axis=0)
    hopeless = np.array([hopeless_counts(looks, int(last)) for last in certifying[:, -1]], np.int64)
    return Grid(radii, looks, shares, alpha, certifying.T, np.maximum.accumulate(hopeless, axis=0).T)


def hopeless_counts(looks: tuple[int, ...], last: int) -> tuple[int, ...]:
    """The largest count at each look with which reaching `last` at the last look is not worth the draws.

    The boundaries of the failures, were p = last / looks[-1]; the level is FUTILITY, in even shares. All
    counts are hopeless where `last` cannot be reached.
    """
    if last > looks[-1]:
        return looks
    if len(looks) == 1:
        return (-1,)
    even = (1.0 / (len(looks) - 1),) * (len(looks) - 1)
    failures = boundaries(looks[:-1], even, 1.0 - last / looks[-1], FUTILITY)
    return (*(look - least for look, least in zip(looks, failures, strict=False)), -1)


def expectation(mode: Grid, p: float) -> tuple[np.ndarray, float]:
    """What the test does to an input of a given probability, computed by the same recursion.

    Returns:
        (G,) the probability that each radius is certified, and the expected number of draws.
    """
    states = np.arange(len(mode.given) + 1)[:, None]
    ended, draws, drawn = np.zeros(len(states)), 0.0, 0
    first, waiting = 0, (states == 0).astype(np.float64)  # (states, counts) masses of inputs still drawn for
    for at, look in enumerate(mode.looks):
        draws += (look - drawn) * float(waiting.sum())
        added = binomial(look - drawn, p)
        waiting = np.stack([np.convolve(row, added.mass) for row in waiting])
        first, drawn = first + added.first, look
        column = np.arange(waiting.shape[1])
        decisions, after = mode.look(at, np.broadcast_to(first + column, waiting.shape), states)
        moved = np.zeros_like(waiting)
        np.add.at(moved, (after, np.broadcast_to(column, waiting.shape)), waiting * (decisions == Decision.GO_ON))
        np.add.at(ended, after, waiting * (decisions != Decision.GO_ON))
        waiting = moved
    return ended[::-1].cumsum()[::-1][1:], draws
