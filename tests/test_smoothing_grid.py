"""Grids of radii: nested boundaries, errors at most alpha, and the draws that they spend."""

import numpy as np
import pytest
from scipy.stats import binom, norm
from sequential_toys import ALPHA, REPETITIONS, SURE, above, at_most, drive

from hiercls_plugins.smoothing.grid import FUTILITY, SMALLEST_RADIUS, expectation, grid
from hiercls_plugins.smoothing.sequential import Decision, boundaries, looks, null_probability, spending
from hiercls_plugins.smoothing.tolerance import lower_bounds

RADII = (0.0, 1.0, 2.0, 3.0)


def test_boundaries_of_a_grid_are_nested_and_never_below_those_of_its_radii():
    at = looks(10_000)
    radii = tuple(np.linspace(0.5, 0.6, 40).tolist())
    mode = grid(radii, 1.0, at, ALPHA)
    assert (np.diff(mode.certifying, axis=1) >= 0).all()
    assert (np.diff(mode.hopeless, axis=1) >= 0).all()
    alone = np.array([boundaries(at, spending(len(at)), null_probability(r, 1.0), ALPHA) for r in radii]).T
    assert (mode.certifying >= alone).all()
    assert (np.diff(alone, axis=1) < 0).any()  # else the running maximum would be untested


def test_a_count_below_its_boundary_never_certifies_and_one_at_it_does():
    mode = grid(RADII, 1.0, looks(2000), ALPHA)
    for at in range(len(mode.looks)):
        for radius, bound in enumerate(mode.certifying[at]):
            counts = np.array([bound - 1, min(bound, mode.looks[at])])
            _, state = mode.look(at, counts, mode.start(2))
            assert state[0] <= radius
            assert state[1] > radius or bound > mode.looks[at]


def test_radii_are_kept_once_certified_and_the_radius_zero_is_a_claim():
    mode = grid(RADII, 1.0, looks(2000), ALPHA)
    _, state = mode.look(3, np.array([mode.certifying[3, 1]]), mode.start(1))
    _, later = mode.look(4, np.array([0]), state)
    assert mode.radii(later).tolist() == [1.0]
    assert mode.radii(np.array([0, 1, 4])).tolist() == [0.0, SMALLEST_RADIUS, 3.0]
    assert SMALLEST_RADIUS > 0


def test_inputs_at_looks_of_their_own_get_the_decisions_of_their_look():
    mode = grid(RADII, 1.0, looks(2000), ALPHA)
    generator = np.random.default_rng(3)
    at = generator.integers(len(mode.looks), size=200)
    counts = generator.binomial(np.array(mode.looks)[at], generator.uniform(0.4, 1, 200))
    state = generator.integers(0, 5, 200)
    together = mode.look(at, counts, state)
    for k in range(200):
        alone = mode.look(int(at[k]), counts[k : k + 1], state[k : k + 1])
        assert [together[0][k], together[1][k]] == [alone[0][0], alone[1][0]]


@pytest.mark.parametrize("radius", [0.0, 0.5, 2.0])
def test_at_p0_one_radius_is_certified_at_most_alpha_often(radius):
    mode = grid((radius,), 1.0, looks(2000), ALPHA)
    p0 = null_probability(radius, 1.0)
    state, *_ = drive(mode, np.full(REPETITIONS, p0))
    assert at_most((state > 0).sum())
    assert (state > 0).sum() > 0.3 * ALPHA * REPETITIONS  # the level is used, not wasted


@pytest.mark.parametrize("p", [0.5, 0.52, 0.84, 0.85, 0.977, 0.9986])
def test_a_grid_claims_more_than_the_true_radius_at_most_alpha_often(p):
    mode = grid(RADII, 1.0, looks(2000), ALPHA)
    state, *_ = drive(mode, np.full(REPETITIONS, p))
    assert at_most((mode.radii(state) > norm.ppf(p)).sum())


def test_the_error_without_giving_up_is_also_at_most_alpha():
    """Giving up is not binding: an engine that ignores it must not err more."""
    mode = grid((0.5,), 1.0, looks(2000), ALPHA)
    passage = np.zeros(REPETITIONS, np.int64)
    counts, generator, drawn = np.zeros(REPETITIONS, np.int64), np.random.default_rng(8), 0
    for at, look in enumerate(mode.looks):
        counts += generator.binomial(look - drawn, null_probability(0.5, 1.0), REPETITIONS)
        _, passage = mode.look(at, counts, passage)
        drawn = look
    assert at_most((passage > 0).sum())


def test_a_bound_computed_on_a_stopped_count_errs_above_alpha():
    """Why only the tested radii are claimed."""
    p = null_probability(0.5, 1.0) + 0.03
    _, _, counts, used = drive(grid((0.5,), 1.0, looks(20_000), ALPHA), np.full(REPETITIONS, p))
    assert above((lower_bounds(counts, used, np.array(ALPHA)) > p).sum())


@pytest.mark.parametrize("p", [0.55, 0.75, 0.97, 0.9999])
def test_expected_draws_and_powers_are_those_of_simulation(p):
    mode = grid(RADII, 1.0, looks(5000), 0.001)
    power, draws = expectation(mode, p)
    state, _, _, used = drive(mode, np.full(REPETITIONS, p), seed=2)
    assert used.mean() == pytest.approx(draws, rel=0.05)
    for k in range(len(RADII)):
        low, high = binom.ppf([SURE, 1 - SURE], REPETITIONS, min(1.0, power[k]))
        assert low <= (state > k).sum() <= high


def test_hopeless_and_clear_inputs_need_few_of_100_000_draws():
    mode = grid((1.0,), 1.0, looks(100_000), 0.001)
    for p, verdict in ((0.5, Decision.GIVEN_UP), (0.999, Decision.CERTIFIED)):
        assert expectation(mode, p)[1] < 300
        _, decided, *_ = drive(mode, np.full(100, p))
        assert (decided == verdict).all()


def test_inputs_that_would_be_certified_every_second_time_are_seldom_given_up():
    draws = 5000
    mode = grid((1.0,), 1.0, looks(draws), 0.001)
    _, decided, *_ = drive(mode, np.full(REPETITIONS, mode.certifying[-1, 0] / draws))
    assert at_most((decided == Decision.GIVEN_UP).sum(), FUTILITY)
    assert (decided == Decision.CERTIFIED).mean() > 0.45


def test_a_radius_above_the_cap_is_given_up_at_the_first_look():
    _, decided, _, used = drive(grid((5.0,), 1.0, looks(10_000), 0.001), np.ones(3))
    assert decided.tolist() == [Decision.GIVEN_UP] * 3
    assert used.tolist() == [100] * 3


@pytest.mark.parametrize("p", [0.45, 0.62, 0.8, 0.845, 0.86, 0.9, 0.975, 0.979, 0.998, 0.9995])
def test_all_modes_lose_little_power_against_a_fixed_number_of_draws(p):
    """Averaged over inputs this is the loss of certified accuracy; here at the worst places of the grid."""
    draws, alpha = 20_000, 0.001
    power, used = expectation(grid(RADII, 1.0, looks(draws), alpha), p)
    fixed = [boundaries((draws,), (1.0,), null_probability(r, 1.0), alpha)[0] for r in RADII]
    assert used < draws
    for k in range(len(RADII)):
        assert power[k] >= binom.sf(fixed[k] - 1, draws, p) - 0.15
