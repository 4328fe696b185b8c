"""Pairwise decisions: the answer is the child that beats every other on most draws, each on its own.

On one draw a child beats another by its larger score, ties to the lower one. A child that beats every other
with probability above 1/2 is unique where it exists; where none does the decision abstains, also in the
ideal. The winner need not be the most frequent child: it is another decision rule than plurality, never a
second bound on the same one.

Child c becomes the answer only if it beats the chosen child on most draws, so the radius to c is
sigma Phi^-1(p_c), where the chosen child beats c with probability p_c. Candidates come from selection
draws. The own radius is a minimum, and the test of a candidate an intersection: each opponent at alpha.
Targeted radii hold together: each opponent at alpha / (K - 1).
"""

from dataclasses import dataclass

import numpy as np

from hiercls_plugins.smoothing.sequential import Decision, Mode
from hiercls_plugins.smoothing.statistics import Radii
from hiercls_plugins.smoothing.tolerance import lower_bounds, majority_radii

NOBODY = -1
"""The candidate where no child beats every other."""


def tournament(scores: np.ndarray) -> np.ndarray:
    """On how many draws each child beats each other.

    Args:
        scores: (draws, K); a draw with a score that is not finite is a win for nobody.

    Returns:
        (K, K) int64, [a, b] the draws on which a beats b; 0 on the diagonal.
    """
    finite = scores[np.isfinite(scores).all(axis=1)]
    ahead = finite[:, :, None] > finite[:, None, :]
    level = finite[:, :, None] == finite[:, None, :]
    lower = np.triu(np.ones(ahead.shape[1:], bool), k=1)
    return (ahead | (level & lower)).sum(axis=0)


def candidate(wins: np.ndarray, draws: int) -> int:
    """The child that beats every other on more than half of all draws, lost ones included; or NOBODY."""
    most = 2 * wins > draws
    np.fill_diagonal(most, True)
    beats_all = np.flatnonzero(most.all(axis=1))
    return int(beats_all[0]) if len(beats_all) else NOBODY


def confirms(wins: np.ndarray, chosen: int, draws: int, alpha: float, slack: float = 0.0) -> bool:
    """Whether fresh draws confirm a candidate: a one-sided binomial test against each opponent at alpha.

    A wrong candidate fails to beat some opponent on most draws in truth, and that test passes with
    probability at most alpha.

    Args:
        wins: (K,) draws on which the chosen child beats each other; its own cell is not read.
    """
    others = np.delete(wins, chosen)
    return bool((lower_bounds(others, np.array(draws), np.array(alpha)) - slack > 0.5).all())


def pairwise(wins: np.ndarray, chosen: int, draws: int, sigma: float, alpha: float, slack: float = 0.0) -> Radii:
    """The radii of a fixed number of draws: own at alpha, targeted together at alpha.

    Args:
        wins: (K,) draws on which the chosen child beats each other; its own cell is not read.
    """
    others = np.delete(wins, chosen)
    if not len(others):
        raise ValueError("a decision without opponents needs no draws")
    alone = lower_bounds(others, np.array(draws), np.array(alpha)) - slack
    together = lower_bounds(others, np.array(draws), np.array(alpha / len(others))) - slack
    lowest = float(alone.min())
    targeted = np.insert(majority_radii(together, sigma), chosen, 0.0)
    return Radii(float(majority_radii(np.array(lowest), sigma)), targeted, max(0.0, lowest))


@dataclass(frozen=True, eq=False)
class Pairwise:
    """A mode for every opponent of a candidate at once (a `Mode` whose counts are wins over opponents).

    Counts are (N, K - 1), a state is (N, 2, K - 1): of the own tests, and of the targeted ones. Draws end
    when the own radius, the smallest over opponents, is decided.

    Attributes:
        own: the mode at alpha.
        targeted: the same mode at alpha / (K - 1), at the same looks.
    """

    own: Mode
    targeted: Mode

    def __post_init__(self) -> None:
        if self.own.looks != self.targeted.looks:
            raise ValueError("own and targeted tests must look at the same draws")

    @property
    def looks(self) -> tuple[int, ...]:
        return self.own.looks

    def start(self, *shape: int) -> np.ndarray:
        inputs, opponents = shape
        return np.stack([self.own.start(inputs, opponents), self.targeted.start(inputs, opponents)], axis=1)

    def look(self, at: int | np.ndarray, counts: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        at = at if np.ndim(at) == 0 else np.asarray(at)[:, None]
        decisions, own = self.own.look(at, counts, state[:, 0])
        _, targeted = self.targeted.look(at, counts, state[:, 1])
        weakest = own == own.min(axis=1, keepdims=True)
        return np.where(weakest, decisions, Decision.GO_ON).max(axis=1), np.stack([own, targeted], axis=1)

    def radii(self, state: np.ndarray) -> np.ndarray:
        """(N,) of the answer."""
        return self.own.radii(state[:, 0].min(axis=1))

    def targeted_radii(self, state: np.ndarray) -> np.ndarray:
        """(N, K - 1) to each opponent, valid together at alpha."""
        return self.targeted.radii(state[:, 1])
