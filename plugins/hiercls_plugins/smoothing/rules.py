"""Decision rules: how draws name a child, confirm it, and what is counted to certify it.

A rule is part of the classifier: what predicts is what is certified and attacked, and no radius of one rule
says anything about another.
"""

from typing import Literal, Protocol

import numpy as np

from hiercls.values.heads import Head
from hiercls_plugins.smoothing import pairwise, statistics
from hiercls_plugins.smoothing.ballots import Ballot, Plurality, Tournament, Wins

Name = Literal["plurality", "pairwise"]


class Rule(Protocol):
    """A decision rule; children are named by their place in the narrowed head, `None` is no child."""

    def naming(self, head: Head) -> Ballot:
        """What selection draws count."""
        ...

    def named(self, counts: np.ndarray, head: Head, draws: int) -> int | None:
        """The candidate of selection counts."""
        ...

    def testing(self, head: Head, chosen: int) -> Ballot:
        """What the draws count that test or certify a child."""
        ...

    def confirms(self, counts: np.ndarray, chosen: int, draws: int, alpha: float, slack: float) -> bool:
        """Whether fresh draws confirm a candidate; a wrong one with probability at most alpha."""
        ...


class MostVotes:
    """Plurality: the child that wins most draws (Cohen et al. 2019)."""

    def naming(self, head: Head) -> Ballot:
        return Plurality(head)

    def named(self, counts: np.ndarray, head: Head, draws: int) -> int | None:
        leader = statistics.leader(counts)
        return leader if leader < len(head.children) else None

    def testing(self, head: Head, chosen: int) -> Ballot:
        return Plurality(head)

    def confirms(self, counts: np.ndarray, chosen: int, draws: int, alpha: float, slack: float) -> bool:
        return statistics.confirms(counts, chosen, alpha, slack)


class BeatsEach:
    """Pairwise: the child that beats every other on most draws, each on its own."""

    def naming(self, head: Head) -> Ballot:
        return Tournament(head)

    def named(self, counts: np.ndarray, head: Head, draws: int) -> int | None:
        children = len(head.children)
        found = pairwise.candidate(counts.reshape(children, children), draws)
        return None if found == pairwise.NOBODY else found

    def testing(self, head: Head, chosen: int) -> Ballot:
        return Wins(head, chosen)

    def confirms(self, counts: np.ndarray, chosen: int, draws: int, alpha: float, slack: float) -> bool:
        return pairwise.confirms(counts, chosen, draws, alpha, slack)


RULES: dict[Name, Rule] = {"plurality": MostVotes(), "pairwise": BeatsEach()}
