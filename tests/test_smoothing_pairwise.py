"""Smoothing by pairs: the winner of all duels, its radii, and its own looks."""

import numpy as np
import pytest
from scipy.stats import norm
from sequential_toys import ALPHA, REPETITIONS, at_most

from hiercls_plugins.smoothing.grid import grid
from hiercls_plugins.smoothing.pairwise import NOBODY, Pairwise, candidate, confirms, pairwise, tournament
from hiercls_plugins.smoothing.sequential import Decision, looks
from hiercls_plugins.smoothing.statistics import lower_bound
from hiercls_plugins.smoothing.tolerance import majority_radii, within

ORDERS = {"ABC": 0.34, "BAC": 0.36, "CAB": 0.30}


def condorcet(draws, seed=0):
    """Scores whose most frequent best child is B, while A beats both others on most draws."""
    generator = np.random.default_rng(seed)
    drawn = generator.choice(list(ORDERS), size=draws, p=list(ORDERS.values()))
    return np.array([[-order.index(child) for child in "ABC"] for order in drawn], np.float64)


def test_the_pairwise_winner_may_differ_from_the_most_frequent_child():
    scores = condorcet(20_000)
    wins = tournament(scores)
    assert np.bincount(scores.argmax(axis=1)).argmax() == 1
    assert candidate(wins, len(scores)) == 0
    assert wins[0] / len(scores) == pytest.approx([0, 0.64, 0.70], abs=0.02)


def test_counts_of_pairs_are_those_of_counting_by_hand():
    scores = np.random.default_rng(1).integers(0, 3, (200, 4)).astype(float)
    scores[:20, 2] = np.nan
    scores[20:30, 0] = np.inf
    by_hand = np.zeros((4, 4), int)
    for row in scores[30:]:
        for a in range(4):
            for b in range(4):
                by_hand[a, b] += a != b and (row[a] > row[b] or (row[a] == row[b] and a < b))
    assert (tournament(scores) == by_hand).all()
    assert (by_hand + by_hand.T == 170 * (1 - np.eye(4))).all()


def test_a_cycle_a_tie_or_lost_draws_leave_nobody():
    cycle = np.array([[3, 2, 1], [1, 3, 2], [2, 1, 3]], float)
    assert candidate(tournament(cycle), 3) == NOBODY
    assert candidate(np.array([[0, 5], [5, 0]]), 10) == NOBODY
    assert candidate(np.array([[0, 6], [0, 0]]), 12) == NOBODY
    assert candidate(np.array([[0, 7], [0, 0]]), 12) == 0


def pair_wins(cells, draws, count, seed=0):
    """Wins of A over B and C on shared draws of the orders ABC, BAC, CAB: (count, 2)."""
    drawn = np.random.default_rng(seed).multinomial(draws, cells, size=count)
    return np.stack([drawn[:, 0] + drawn[:, 2], drawn[:, 0] + drawn[:, 1]], axis=1)


@pytest.mark.parametrize("cells", [(0.2, 0.4, 0.4), (0.2, 0.5, 0.3), (0.5, 0.25, 0.25)])
def test_pairwise_radii_hold_own_and_targeted_apart(cells):
    draws, count = 300, 3000
    truth = norm.ppf([cells[0] + cells[2], cells[0] + cells[1]])
    found = [pairwise(np.array([0, *w]), 0, draws, 1.0, ALPHA) for w in pair_wins(cells, draws, count)]
    assert at_most(sum(radii.own > max(0.0, truth.min()) for radii in found), ALPHA, count)
    assert at_most(sum((radii.targeted[1:] > np.maximum(0, truth)).any() for radii in found), ALPHA, count)
    assert all(radii.targeted[0] == 0.0 for radii in found)


def test_the_own_radius_needs_no_split_and_targeted_radii_do():
    radii = pairwise(np.array([900, 0, 900, 950]), 1, 1000, 1.0, 0.01)
    assert radii.own == majority_radii(np.array(lower_bound(900, 1000, 0.01)), 1.0)
    expected = [
        lower_bound(900, 1000, 0.01 / 3),
        0.0,
        lower_bound(900, 1000, 0.01 / 3),
        lower_bound(950, 1000, 0.01 / 3),
    ]
    assert radii.targeted.tolist() == majority_radii(np.array(expected), 1.0).tolist()
    with pytest.raises(ValueError, match="without opponents"):
        pairwise(np.array([0]), 0, 10, 1.0, 0.05)


def test_a_wrong_pairwise_candidate_is_confirmed_at_most_alpha_often():
    """Even chances against B: A is not the answer."""
    wins = pair_wins((0.3, 0.5, 0.2), 200, REPETITIONS)
    assert at_most(sum(confirms(np.array([0, *w]), 0, 200, ALPHA) for w in wins))
    assert confirms(np.array([0, 150, 180]), 0, 200, ALPHA)
    assert not confirms(np.array([0, 105, 200]), 0, 200, ALPHA)


MODES = {
    "grid": lambda alpha: grid((0.0, 0.5, 1.0), 1.0, looks(2000), alpha),
    "tolerance": lambda alpha: within(0.05, 1.0, looks(2000), alpha),
}


@pytest.mark.parametrize("kind", MODES)
@pytest.mark.parametrize("cells", [(0.4, 0.3, 0.3), (0.7, 0.2, 0.1), (0.2, 0.5, 0.3)])
def test_sequential_pairs_hold_through_their_own_looks(kind, cells):
    mode = Pairwise(MODES[kind](ALPHA), MODES[kind](ALPHA / 2))
    count, generator, drawn = 4000, np.random.default_rng(6), 0
    truth = np.maximum(0, norm.ppf([cells[0] + cells[2], cells[0] + cells[1]]))
    counts, state, alive = np.zeros((count, 2), np.int64), mode.start(count, 2), np.arange(count)
    for at, look in enumerate(mode.looks):
        more = generator.multinomial(look - drawn, cells, size=len(alive))
        counts[alive] += np.stack([more[:, 0] + more[:, 2], more[:, 0] + more[:, 1]], axis=1)
        decisions, state[alive] = mode.look(np.full(len(alive), at), counts[alive], state[alive])
        alive, drawn = alive[decisions == Decision.GO_ON], look
    assert at_most((mode.radii(state) > truth.min()).sum(), ALPHA, count)
    assert at_most((mode.targeted_radii(state) > truth).any(axis=1).sum(), ALPHA, count)


def test_pairs_go_on_while_the_weakest_opponent_is_open():
    mode = Pairwise(MODES["grid"](ALPHA), MODES["grid"](ALPHA / 2))
    at, draws = 5, mode.looks[5]
    half = draws * 55 // 100
    counts = np.array([[draws, draws], [draws, half], [0, draws], [0, 0]])
    decisions, _ = mode.look(at, counts, mode.start(4, 2))
    assert decisions.tolist() == [Decision.CERTIFIED, Decision.GO_ON, Decision.GIVEN_UP, Decision.GIVEN_UP]


def test_own_and_targeted_pairs_look_at_the_same_draws():
    with pytest.raises(ValueError, match="the same draws"):
        Pairwise(grid((0.0,), 1.0, (10,), 0.05), grid((0.0,), 1.0, (20,), 0.05))
