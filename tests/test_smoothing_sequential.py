"""Sequential modes of smoothing: against exact rational arithmetic, enumeration, mpmath and half-spaces."""

from fractions import Fraction
from itertools import product
from math import comb, log
from subprocess import run
from sys import executable

import mpmath
import numpy as np
import pytest
from scipy.stats import binom, norm
from statsmodels.stats.proportion import proportion_confint

from hiercls_plugins.smoothing.binomial import LARGEST_DRAWS, TRIMMED, binomial
from hiercls_plugins.smoothing.grid import FUTILITY, SMALLEST_RADIUS, expectation, grid
from hiercls_plugins.smoothing.pairwise import NOBODY, Pairwise, candidate, confirms, pairwise, tournament
from hiercls_plugins.smoothing.sequential import (
    Decision,
    boundaries,
    looks,
    null_probability,
    spending,
    tail_slack,
)
from hiercls_plugins.smoothing.statistics import cap, lower_bound, one_sided, smallest_draws
from hiercls_plugins.smoothing.tolerance import lower_bounds, majority_radii, within

ALPHA = 0.05
REPETITIONS = 10_000
SURE = 1e-6
"""How seldom a test of this file may fail by bad luck under another seed."""

RADII = (0.0, 1.0, 2.0, 3.0)


def at_most(errors, level=ALPHA, count=REPETITIONS):
    return errors <= binom.isf(SURE, count, level)


def above(errors, level=ALPHA, count=REPETITIONS):
    return errors > binom.isf(SURE, count, level)


def exact(p):
    return Fraction(p)


def exact_binomial(draws, p):
    return {k: comb(draws, k) * p**k * (1 - p) ** (draws - k) for k in range(draws + 1)}


def exact_passage(at, bounds, p):
    """The probability that a count ever reaches its boundary, in rational arithmetic."""
    waiting, drawn, passed = {0: Fraction(1)}, 0, Fraction(0)
    for look, bound in zip(at, bounds, strict=True):
        added = exact_binomial(look - drawn, p)
        arrived = {}
        for count, mass in waiting.items():
            for more, chance in added.items():
                arrived[count + more] = arrived.get(count + more, 0) + mass * chance
        passed += sum(mass for count, mass in arrived.items() if count >= bound)
        waiting, drawn = {count: mass for count, mass in arrived.items() if count < bound}, look
    return passed


def exact_boundaries(at, shares, p, alpha):
    """The definition, in rational arithmetic: the least counts that the passage so far can afford."""
    found, budget = [], Fraction(0)
    for k, share in enumerate(shares):
        budget += exact(share)
        low = next(
            u for u in range(at[k] + 2) if exact_passage(at[: k + 1], (*found, u), p) <= exact(alpha) * min(budget, 1)
        )
        found.append(low)
    return tuple(found)


def drive(mode, probabilities, seed=0, start=None):
    """Run a mode on counts of given probabilities, as an engine does: decided inputs are drawn for no more."""
    generator = np.random.default_rng(seed)
    probabilities = np.asarray(probabilities)
    counts, state = np.zeros(probabilities.shape, np.int64), mode.start(*probabilities.shape)
    used = np.zeros(len(probabilities), np.int64)
    decided, alive, drawn = np.zeros(len(probabilities), np.int64), np.arange(len(probabilities)), 0
    for at, look in enumerate(mode.looks):
        counts[alive] += generator.binomial(look - drawn, probabilities[alive])
        decisions, state[alive] = mode.look(at, counts[alive], state[alive])
        used[alive], decided[alive], drawn = look, decisions, look
        alive = alive[decisions == Decision.GO_ON]
    assert len(alive) == 0
    return state, decided, counts, used


# --- masses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("draws", [1, 7, 1000, 100_000, LARGEST_DRAWS])
@pytest.mark.parametrize("p", [0.5, 0.9772498680518208, 0.99865, 1e-5])
def test_binomial_masses_have_the_stated_relative_error(draws, p):
    band = binomial(draws, p)
    with mpmath.workdps(40):
        for i in {0, len(band.mass) // 3, len(band.mass) // 2, len(band.mass) - 1}:
            k = int(band.counts[i])
            ideal = mpmath.binomial(draws, k) * mpmath.mpf(p) ** k * (1 - mpmath.mpf(p)) ** (draws - k)
            assert abs(mpmath.mpf(float(band.mass[i])) / ideal - 1) < 2e-11
    below, past = int(band.counts[0]) - 1, int(band.counts[-1])
    assert binom.cdf(below, draws, p) + binom.sf(past, draws, p) <= TRIMMED


def test_masses_of_certain_and_impossible_draws_are_single_counts():
    assert binomial(9, 1.0).counts.tolist() == [9]
    assert binomial(9, 0.0).counts.tolist() == [0]


# --- boundaries of one radius ---------------------------------------------------------------------


SCHEDULES = [((20,), (1.0,)), ((5, 9, 16), (0.25, 0.25, 0.5)), ((4, 8, 12, 16, 20, 24), spending(6))]


@pytest.mark.parametrize(("at", "shares"), SCHEDULES)
@pytest.mark.parametrize("p0", [null_probability(0.0, 1.0), 0.6, null_probability(1.0, 1.0)])
@pytest.mark.parametrize("alpha", [0.05, 0.3])
def test_boundaries_are_those_of_rational_arithmetic(at, shares, p0, alpha):
    assert boundaries(at, shares, p0, alpha) == exact_boundaries(at, shares, exact(p0), alpha)


@pytest.mark.parametrize(("at", "shares"), SCHEDULES)
@pytest.mark.parametrize("p0", [null_probability(0.0, 1.0), 0.7, 0.9])
def test_at_and_below_p0_the_exact_error_is_at_most_alpha(at, shares, p0):
    bounds = boundaries(at, shares, p0, ALPHA)
    errors = [exact_passage(at, bounds, exact(p)) for p in (p0, p0 - 0.01, p0 - 0.1, p0 / 2)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] <= exact(ALPHA)


def test_enumerating_every_sequence_of_draws_gives_the_same_error():
    at, p0 = (4, 7, 10, 12), Fraction(3, 5)
    bounds = boundaries(at, spending(4), float(p0), 0.3)
    crossing = Fraction(0)
    for draws in product((0, 1), repeat=12):
        if any(sum(draws[:look]) >= bound for look, bound in zip(at, bounds, strict=True)):
            crossing += p0 ** sum(draws) * (1 - p0) ** (12 - sum(draws))
    assert 0 < crossing <= Fraction(3, 10)
    assert crossing == exact_passage(at, bounds, p0)


@pytest.mark.parametrize("draws", [100, 1000, 100_000])
@pytest.mark.parametrize("p0", [0.6, 0.9, 0.999])
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_one_look_is_the_clopper_pearson_bound_of_statsmodels(draws, p0, alpha):
    bound = boundaries((draws,), (1.0,), p0, alpha)[0]

    def passes(count):
        return count > draws or proportion_confint(count, draws, alpha=2 * alpha, method="beta")[0] >= p0

    assert passes(bound)
    assert not passes(bound - 1)


@pytest.mark.parametrize("alpha", [0.4, 0.05, 0.001, 1e-6])
def test_the_fewest_draws_that_certify_are_the_closed_form(alpha):
    """ln(alpha) / ln(1/2)."""
    p0 = null_probability(0.0, 1.0)
    first = next(n for n in range(1, 100) if boundaries((n,), (1.0,), p0, alpha)[0] <= n)
    assert first == smallest_draws(alpha) == int(np.ceil(log(alpha) / log(0.5)))


def test_no_draw_certifies_above_the_cap():
    draws, alpha = 1000, 0.001
    for radius, certifies in ((cap(1.0, draws, alpha) * 0.9999, True), (cap(1.0, draws, alpha) * 1.0001, False)):
        assert (boundaries((draws,), (1.0,), null_probability(radius, 1.0), alpha)[0] <= draws) == certifies


def test_sequential_boundaries_cost_little_at_the_last_look():
    """Half of alpha is left for it: between the boundaries of a single look at alpha and at alpha/2."""
    at, p0 = looks(100_000), null_probability(1.0, 1.0)
    last = boundaries(at, spending(len(at)), p0, 0.001)[-1]
    assert boundaries((100_000,), (1.0,), p0, 0.001)[0] <= last <= boundaries((100_000,), (1.0,), p0, 0.0005)[0]


def test_trimmed_mass_counts_as_spent():
    """At a level that trimming alone exceeds, nothing is certified, not even all of many draws."""
    at, p0 = (1000, 2000), null_probability(0.0, 1.0)
    assert boundaries(at, (0.5, 0.5), p0, TRIMMED) == (1001, 2001)
    assert boundaries(at, (0.5, 0.5), p0, 100 * TRIMMED)[0] <= 1000


def test_p0_is_rounded_up_and_never_below_a_majority():
    with mpmath.workdps(40):
        for radius, sigma in ((0.25, 0.25), (0.1, 1.0), (1e-9, 1.0), (3.7, 1.0), (0.75, 0.25)):
            ideal = mpmath.ncdf(mpmath.mpf(radius) / mpmath.mpf(sigma))
            assert ideal < null_probability(radius, sigma) < ideal + 2e-14
    assert null_probability(0.0, 0.5) == np.nextafter(0.5, 1)
    assert null_probability(40.0, 1.0) == 1.0
    assert boundaries((10,), (1.0,), 1.0, 0.05) == (11,)


def test_the_slack_of_cut_draws_is_charged_to_p0():
    """Box and Muller: one pair misses 2^-24, which is exp(-r^2 / 2) outside the disc it is made in."""
    assert tail_slack(1) == pytest.approx(np.exp(-(5.768108**2) / 2), rel=1e-5)
    assert tail_slack(16) == tail_slack(8) == 8 * tail_slack(1)
    assert tail_slack(3072) >= 3072 * 2 * norm.sf(5.7681)
    slack = tail_slack(3072)
    assert null_probability(1.0, 1.0, slack) >= null_probability(1.0, 1.0) + slack
    assert null_probability(0.0, 1.0, slack) > 0.5 + slack


def test_entries_of_a_run_that_is_not_full_are_charged_a_pair_each():
    """Two entries of two pairs, whose partners are not used, by quadrature of the law of one entry of a cut pair."""
    reach = np.sqrt(48 * np.log(2))
    x, step = np.linspace(-9, 9, 3601, retstep=True)
    outside = np.where(abs(x) < reach, 2 * norm.sf(np.sqrt(np.clip(reach**2 - x**2, 0, None))), 1.0)
    cut = norm.pdf(x) * (1 - outside) / (1 - 2.0**-24)
    both = np.outer(norm.pdf(x), norm.pdf(x)) - np.outer(cut, cut)
    assert 1.4 * 2.0**-24 < both.clip(0).sum() * step**2 <= tail_slack(2)


def test_looks_grow_to_the_last_draw():
    at = looks(100_000)
    assert (at[0], at[-1], len(at)) == (100, 100_000, 32)
    assert all(later <= 1.26 * look + 1 for look, later in zip(at, at[1:], strict=False))
    assert looks(50) == (50,)
    assert all(look % 500 == 0 for look in looks(100_000, step=500))
    for schedule in (looks(100_000, step=500), looks(7, first=1), looks(1234, first=3, growth=1.01)):
        assert list(schedule) == sorted(set(schedule))
    assert sum(spending(32)) == pytest.approx(1)
    assert spending(32)[-1] == 0.5
    assert spending(1) == (1.0,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((5, 5), (0.5, 0.5), 0.5, 0.05), "looks must increase"),
        (((), (), 0.5, 0.05), "looks must increase"),
        (((5,), (0.5, 0.5), 0.5, 0.05), "as many shares"),
        (((5, 6), (0.6, 0.6), 0.5, 0.05), "1 in all"),
        (((5,), (1.0,), 1.5, 0.05), "no boundaries for p0 1.5"),
        (((5,), (1.0,), 0.5, 0.0), "at level 0.0"),
        (((LARGEST_DRAWS + 1,), (1.0,), 0.5, 0.05), "for which rounding errors are shown"),
    ],
)
def test_impossible_tests_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        boundaries(*arguments)


def test_impossible_radii_schedules_and_grids_are_refused():
    for radius, sigma in ((-1.0, 1.0), (np.nan, 1.0), (1.0, 0.0), (1.0, np.inf)):
        with pytest.raises(ValueError, match="no test of radius"):
            null_probability(radius, sigma)
    with pytest.raises(ValueError, match="no looks at 0 draws"):
        looks(0)
    for radii in ((), (0.5, 0.5), (1.0, 0.5)):
        with pytest.raises(ValueError, match="increasing ones"):
            grid(radii, 1.0, (10,), 0.05)
    for tolerance in (-0.1, 1.0):
        with pytest.raises(ValueError, match="no radius within"):
            within(tolerance, 1.0, (10,), 0.05)


# --- grids ----------------------------------------------------------------------------------------


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


# --- radius within a tolerance --------------------------------------------------------------------


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


# --- pairs ----------------------------------------------------------------------------------------

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


def test_the_statistics_import_no_torch():
    names = ("sequential", "grid", "tolerance", "pairwise", "statistics", "cohen_log", "log_readings")
    imports = ", ".join(f"hiercls_plugins.smoothing.{name}" for name in names)
    script = f"import {imports}, sys; sys.exit('torch' in sys.modules)"
    assert run([executable, "-c", script], check=False).returncode == 0
