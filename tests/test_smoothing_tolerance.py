"""Radii within a tolerance: bounds that hold at every look, and where they stop."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from scipy.stats import norm
from sequential_toys import ALPHA, REPETITIONS, above, at_most, drive

from hiercls_plugins.smoothing.pairwise import confirms, pairwise
from hiercls_plugins.smoothing.sequential import Decision, looks
from hiercls_plugins.smoothing.statistics import lower_bound, one_sided
from hiercls_plugins.smoothing.tolerance import lower_bounds, majority_radii, within


@pytest.mark.parametrize("p", [0.5, 0.51, 0.6, 0.8, 0.99, 0.9999])
def test_radii_of_half_spaces_within_a_tolerance_exceed_the_truth_at_most_alpha_often(p):
    mode = within(0.05, 0.5, looks(5000), ALPHA)
    state, *_ = drive(mode, np.full(REPETITIONS, p))
    truth = 0.5 * norm.ppf(p)
    assert at_most((mode.radii(state) > truth).sum())


def test_stopping_as_soon_as_the_bound_is_wrong_still_errs_at_most_alpha():
    """All bounds hold together: also the best of all looks, whichever look an engine stops at."""
    mode = within(0.0, 1.0, looks(5000), ALPHA)
    counts, generator, drawn = np.zeros(REPETITIONS, np.int64), np.random.default_rng(4), 0
    state = mode.start(REPETITIONS)
    for at, look in enumerate(mode.looks):
        counts += generator.binomial(look - drawn, 0.8, REPETITIONS)
        _, state = mode.look(at, counts, state)
        drawn = look
    assert at_most((state > 0.8).sum())
    assert above((state > 0.8).sum(), 0.1 * ALPHA)


def test_a_radius_stops_within_its_tolerance_and_earlier_for_a_wider_one():
    p, draws, used = 0.95, 50_000, {}
    for tolerance in (0.02, 0.05, 0.2):
        mode = within(tolerance, 1.0, looks(draws), 0.001)
        state, decided, _, spent = drive(mode, np.full(300, p))
        used[tolerance] = spent.mean()
        assert (decided == Decision.CERTIFIED).all()
        assert mode.radii(state).mean() > (1 - 1.1 * tolerance) * norm.ppf(lower_bound(int(p * draws), draws, 0.001))
    assert used[0.2] < used[0.05] < used[0.02] < draws


def test_levels_of_all_looks_sum_to_at_most_alpha():
    for draws in (10, 1000, 100_000):
        levels = within(0.05, 1.0, looks(draws), ALPHA).levels
        assert sum(map(Fraction, levels)) <= Fraction(ALPHA)
        assert sum(levels) == pytest.approx(ALPHA, rel=1e-5)


def test_inputs_without_a_majority_are_given_up():
    _, decided, _, used = drive(within(0.05, 1.0, looks(100_000), 0.001), np.full(200, 0.4))
    assert (decided == Decision.GIVEN_UP).all()
    assert used.mean() < 2000


def test_bounds_and_radii_of_arrays_are_those_of_single_counts():
    for draws in (10, 1000, 100_000):
        counts = np.unique(np.linspace(0, draws, 23).astype(int))
        found = lower_bounds(counts, np.array(draws), np.array(0.001))
        assert found.tolist() == [lower_bound(int(count), draws, 0.001) for count in counts]
        radii = [one_sided(np.array([count, draws - count]), 0, 0.25, 0.001).own for count in counts]
        assert majority_radii(found, 0.25) == pytest.approx(radii, rel=1e-12, abs=1e-15)
    for count in (-1, 11):
        with pytest.raises(ValueError, match="negative or above"):
            lower_bounds(np.array([count]), np.array(10), np.array(0.05))


def test_radii_are_rounded_down_and_a_tie_is_none():
    lower = np.array([0.0, 0.5, np.nextafter(0.5, 1), 0.6, 0.999, 1 - 1e-9])
    found = majority_radii(lower, 0.25)
    assert found[:2].tolist() == [0.0, 0.0]
    with mpmath.workdps(40):
        for value, radius in zip(lower[2:], found[2:], strict=True):
            ideal = mpmath.mpf(0.25) * mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(float(value)) - 1)
            assert ideal * (1 - mpmath.mpf(1e-12)) < radius < ideal


def test_the_slack_is_subtracted_from_every_bound():
    counts, slack = np.array([900]), 0.01
    _, plain = within(0.05, 1.0, (1000,), 0.05).look(0, counts, np.zeros(1))
    _, charged = within(0.05, 1.0, (1000,), 0.05, slack).look(0, counts, np.zeros(1))
    assert charged[0] == pytest.approx(plain[0] - slack, abs=1e-15)
    wins = np.array([0, 900])
    assert pairwise(wins, 0, 1000, 1.0, 0.05, slack).own < pairwise(wins, 0, 1000, 1.0, 0.05).own
    assert confirms(np.array([0, 530]), 0, 1000, 0.05)
    assert not confirms(np.array([0, 530]), 0, 1000, 0.05, slack)
