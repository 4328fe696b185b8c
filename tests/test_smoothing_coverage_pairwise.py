"""Coverage of duels: the winner of all pairs, confirmed and certified wrongly at most alpha often."""

import numpy as np
import pytest
from coverage_toys import STOPS, Ranked, certifying, constant, many, rows
from scipy.stats import norm
from sequential_toys import ALPHA, at_most
from smoothing_toys import THREE

from hiercls.values.draws import Purpose
from hiercls.values.heads import ABSTAIN

CYCLE = (0.34, 0.36, 0.30), [(3, 2, 1), (2, 3, 1), (2, 1, 3)]
"""Orders ABC, BAC, CAB: most draws put B first, while A beats B on .64 and C on .70 of them."""


def test_the_pairwise_winner_may_be_another_than_the_most_frequent_child():
    votes = Ranked(*CYCLE)
    decided = [
        certifying(votes, (THREE,), rule=rule, select=2000).decide(many(20), Purpose.PREDICT)[THREE]
        for rule in ("pairwise", "plurality")
    ]
    assert (decided[0] == 0).all()
    assert set(decided[1].tolist()) <= {1, ABSTAIN}


def test_no_pairwise_winner_abstains():
    """Orders ABC, BCA, CAB: A beats B, B beats C, C beats A."""
    votes = Ranked((0.34, 0.33, 0.33), [(3, 2, 1), (1, 3, 2), (2, 1, 3)])
    prover = certifying(votes, (THREE,), rule="pairwise", select=1001, predict=1000)
    assert (prover.decide(many(50), Purpose.SELECT)[THREE] == ABSTAIN).all()


def test_a_wrong_pairwise_candidate_is_confirmed_at_most_alpha_often():
    votes = Ranked((0.5, 0.5), [(3, 2, 1), (2, 3, 1)])
    prover = certifying(votes, (THREE,), rule="pairwise", select=5, predict=200)
    decided = prover.decide(many(800), Purpose.PREDICT)[THREE]
    assert at_most(int((decided != ABSTAIN).sum()), 2 * ALPHA, 800), "an error where it names A, or B"


@pytest.mark.parametrize("stop", ["fixed", "grid", "radius"])
def test_pairwise_rows_hold_at_alpha_own_and_targeted_apart(stop):
    votes = Ranked(*CYCLE)
    prover = certifying(votes, (THREE,), rule="pairwise", draws=800, stop=STOPS.get(stop, stop))
    truth = norm.ppf([0.64, 0.70])
    found = rows(prover, many(800), constant(prover, 800))[THREE]
    assert at_most(sum(row.own > truth.min() for row in found), ALPHA, 800)
    assert at_most(sum(any(row.radii[1:] > truth) for row in found), ALPHA, 800)
    assert np.mean([row.own > 0 for row in found]) > 0.9
