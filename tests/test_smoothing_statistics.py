"""Counts to radii: against exact binomial sums, statsmodels, mpmath and closed forms."""

from fractions import Fraction
from math import comb, inf

import mpmath
import numpy as np
import pytest
from scipy.stats import binom, binomtest, norm
from statsmodels.stats.proportion import proportion_confint

from hiercls_plugins.smoothing import statistics
from hiercls_plugins.smoothing.statistics import (
    COLUMNS,
    cap,
    confirms,
    leader,
    lower_bound,
    one_sided,
    smallest_draws,
    two_sided,
    two_sided_p,
    upper_bound,
)

DRAWS = (1, 2, 10, 47, 1000, 100_000)
LEVELS = (0.05, 0.001, 1e-6)


def some_counts(draws: int) -> list[int]:
    return sorted({0, 1, draws // 3, draws // 2, draws - 1, draws})


@pytest.mark.parametrize("draws", DRAWS)
@pytest.mark.parametrize("alpha", LEVELS)
def test_bounds_are_those_of_statsmodels(draws, alpha):
    for count in some_counts(draws):
        low, high = proportion_confint(count, draws, alpha=2 * alpha, method="beta")
        assert lower_bound(count, draws, alpha) == pytest.approx(0.0 if count == 0 else low, abs=1e-9)
        assert upper_bound(count, draws, alpha) == pytest.approx(1.0 if count == draws else high, abs=1e-9)


@pytest.mark.parametrize("alpha", LEVELS)
def test_a_lower_bound_leaves_at_most_alpha_in_exact_arithmetic(alpha):
    draws = 47
    for count in range(1, draws + 1):
        p = Fraction(lower_bound(count, draws, alpha))
        tail = sum(comb(draws, k) * p**k * (1 - p) ** (draws - k) for k in range(count, draws + 1))
        assert tail <= Fraction(alpha)
        assert float(tail) == pytest.approx(alpha, rel=1e-6)


@pytest.mark.parametrize("alpha", LEVELS)
def test_an_upper_bound_leaves_at_most_alpha_in_exact_arithmetic(alpha):
    draws = 47
    for count in range(draws):
        p = Fraction(upper_bound(count, draws, alpha))
        tail = sum(comb(draws, k) * p**k * (1 - p) ** (draws - k) for k in range(count + 1))
        assert tail <= Fraction(alpha)


def test_nothing_is_bounded_away_from_no_evidence():
    assert lower_bound(0, 100, 0.001) == 0.0
    assert upper_bound(100, 100, 0.001) == 1.0


@pytest.mark.parametrize("arguments", [(5, 4, 0.01), (-1, 4, 0.01), (0, 0, 0.01), (1, 4, 0.0), (1, 4, 1.0)])
def test_impossible_counts_and_levels_have_no_bound(arguments):
    with pytest.raises(ValueError, match="no bound for"):
        upper_bound(*arguments)


def test_a_unanimous_vote_has_the_closed_form_of_the_paper():
    """With all of n draws for one class pA is alpha^(1/n) (Cohen et al. 2019, section 3.2.2)."""
    for draws, alpha in ((100, 0.001), (1000, 0.001), (100_000, 0.001), (10_000, 0.05)):
        counts = np.array([draws, 0, 0])
        exact = 0.5 * norm.ppf(alpha ** (1 / draws))
        assert one_sided(counts, 0, 0.5, alpha).lower == pytest.approx(alpha ** (1 / draws), abs=1e-12)
        assert one_sided(counts, 0, 0.5, alpha).own == pytest.approx(exact, rel=1e-8)
        assert cap(0.5, draws, alpha) == pytest.approx(exact, rel=1e-8)
    assert norm.ppf(0.001 ** (1 / 100_000)) == pytest.approx(3.81, abs=0.005)


def test_a_majority_has_cohens_radius_rounded_down():
    with mpmath.workdps(40):
        for count, draws, alpha, sigma in (
            (990, 1000, 0.001, 0.25),
            (99_000, 100_000, 0.001, 1.0),
            (60, 100, 0.05, 2.0),
        ):
            found = one_sided(np.array([count, draws - count, 0]), 0, sigma, alpha)
            ideal = sigma * _quantile(_exact_lower(count, draws, alpha))
            assert found.own < ideal
            assert found.own == pytest.approx(float(ideal), rel=1e-9)


def test_two_sided_radii_are_theorem_1_rounded_down():
    counts, draws, sigma, alpha = np.array([550, 150, 120, 100, 80]), 1000, 0.5, 0.01
    with mpmath.workdps(40):
        lower = _exact_lower(550, draws, 0.9 * alpha)
        found = two_sided(counts, 0, sigma, alpha)
        pairs = [(found.own, 150, 0.1 * alpha)]
        pairs += [(found.targeted[k], counts[k], 0.1 * alpha / 3) for k in (1, 2, 3)]
        for radius, count, share in pairs:
            upper = 1 - _exact_lower(draws - int(count), draws, share)
            ideal = sigma / 2 * (_quantile(lower) - _quantile(upper))
            assert radius < ideal
            assert radius == pytest.approx(float(ideal), rel=1e-9)


def test_the_runner_up_lifts_a_small_majority():
    """(.55, .15): .11 sigma becomes .57 sigma."""
    counts = np.array([55_000, 15_000, 15_000, 15_000, 0])
    assert one_sided(counts, 0, 1.0, 0.001).own == pytest.approx(0.11, abs=0.005)
    assert two_sided(counts, 0, 1.0, 0.001).own == pytest.approx(0.57, abs=0.005)


def test_one_bound_gives_every_radius_at_once():
    found = one_sided(np.array([10, 900, 50, 40]), 1, 0.25, 0.001)
    assert found.own > 0
    assert found.targeted.tolist() == [found.own, 0.0, found.own]


def test_a_minority_certifies_nothing_on_one_side_and_keeps_its_targeted_radii_on_two():
    counts = np.array([4500, 4400, 1000, 100, 0])
    assert one_sided(counts, 0, 1.0, 0.001).own == 0.0
    found = two_sided(counts, 0, 1.0, 0.001)
    assert found.own == 0.0
    assert found.targeted[1] == 0.0
    assert 0 < found.targeted[2] < found.targeted[3]


def test_two_sided_radii_never_use_a_runner_up_above_what_the_answer_leaves():
    counts = np.array([999, 1, 0])
    found = two_sided(counts, 0, 1.0, 0.001)
    assert found.own == pytest.approx(norm.ppf(lower_bound(999, 1000, 0.0009)), rel=1e-9)


@pytest.mark.parametrize("column", COLUMNS)
def test_lost_draws_stand_against_the_answer_and_never_for_it(column):
    clean = COLUMNS[column](np.array([800, 100, 100, 0]), 0, 1.0, 0.001)
    lossy = COLUMNS[column](np.array([800, 0, 0, 200]), 0, 1.0, 0.001)
    assert lossy.own <= clean.own
    assert COLUMNS[column](np.array([10, 0, 0, 990]), 0, 1.0, 0.001).own == 0.0
    assert leader(np.array([300, 200, 0, 500])) == 3
    assert not confirms(np.array([400, 0, 0, 600]), 0, 0.05)


@pytest.mark.parametrize("column", COLUMNS)
def test_radii_are_finite_nonnegative_and_zero_for_the_chosen_child(column):
    generator = np.random.default_rng(5)
    for _ in range(300):
        counts = generator.multinomial(generator.integers(1, 500), generator.dirichlet(np.full(5, 0.3)))
        chosen = int(generator.integers(4))
        found = COLUMNS[column](counts, chosen, 0.5, 0.01)
        values = np.append(found.targeted, found.own)
        assert ((values >= 0) & (values < inf)).all()
        assert found.targeted[chosen] == 0.0


@pytest.mark.parametrize("column", COLUMNS)
def test_radii_are_closed(column, monkeypatch):
    counts = np.array([900, 100, 0])
    stored = COLUMNS[column](counts, 0, 0.5, 0.01).own
    monkeypatch.setattr(statistics.np, "nextafter", lambda value, towards: value)
    assert stored < COLUMNS[column](counts, 0, 0.5, 0.01).own


def test_no_radius_exceeds_the_cap():
    for draws in (20, 1000, 100_000):
        counts = np.array([draws, 0, 0])
        assert one_sided(counts, 0, 0.25, 0.001).own <= cap(0.25, draws, 0.001)
        assert two_sided(counts, 0, 0.25, 0.001).own <= cap(0.25, draws, 0.0009)


@pytest.mark.parametrize("alpha", [0.4, 0.25, 0.125, 0.05, 0.001, 1e-6])
def test_the_smallest_number_of_draws_is_the_first_that_certifies(alpha):
    first = next(n for n in range(1, 100) if one_sided(np.array([n, 0, 0]), 0, 1.0, alpha).own > 0)
    assert smallest_draws(alpha) == first


def test_ten_draws_are_needed_at_one_in_a_thousand():
    assert smallest_draws(0.001) == 10


def test_the_test_of_the_top_two_is_the_exact_binomial_test():
    for larger, smaller in ((10, 0), (60, 40), (51, 49), (5000, 4800), (90_000, 500)):
        exact = binomtest(larger, larger + smaller, 0.5).pvalue
        assert two_sided_p(larger, smaller) == pytest.approx(exact, rel=1e-9, abs=1e-300)
        for alpha in LEVELS:
            assert confirms(np.array([smaller, larger, 0]), 1, alpha) == (exact <= alpha)


def test_only_a_leading_candidate_is_confirmed():
    assert confirms(np.array([900, 100, 0]), 0, 0.001)
    assert not confirms(np.array([900, 100, 0]), 1, 0.001)
    assert not confirms(np.array([500, 500, 0]), 0, 0.05)


def test_ties_go_to_the_lowest_child_and_lost_draws_lead_only_alone():
    assert leader(np.array([1, 4, 4, 0])) == 1
    assert leader(np.array([0, 5, 0, 5])) == 1


def test_clopper_pearson_covers_at_every_probability():
    draws, alpha = 60, 0.05
    lows = np.array([lower_bound(k, draws, alpha) for k in range(draws + 1)])
    for p in np.linspace(0.02, 0.98, 49):
        assert binom.pmf(np.arange(draws + 1), draws, p)[lows > p].sum() <= alpha


def test_renormalised_estimates_claim_more_than_the_true_radius():
    """pA = .30, pB = .10 in one dimension: the rule 'the likelier of A and B' turns at .3786 sigma."""
    below, above = norm.ppf(0.30), norm.ppf(0.90)
    true_radius = (below + above) / 2
    assert true_radius == pytest.approx(0.3786, abs=1e-4)
    counts = np.array([30_000, 10_000, 60_000, 0])
    renormalised = one_sided(np.array([30_000, 10_000, 0]), 0, 1.0, 0.001).own
    assert renormalised == pytest.approx(0.6745, abs=0.025)
    assert renormalised > 0.527 > true_radius
    assert norm.cdf(below - 0.527) < norm.sf(above - 0.527), "at .527 sigma B is the likelier"
    assert two_sided(counts, 0, 1.0, 0.001).targeted[1] <= true_radius, "unnormalised counts are sound"


def _exact_lower(count: int, draws: int, alpha: float) -> mpmath.mpf:
    """The Clopper-Pearson lower bound to many digits, by Newton's method from the one under test."""
    p = mpmath.mpf(lower_bound(count, draws, alpha))
    for _ in range(3):
        density = p ** (count - 1) * (1 - p) ** (draws - count) / mpmath.beta(count, draws - count + 1)
        p -= (_tail(count, draws, p) - mpmath.mpf(alpha)) / density
    return p


def _tail(count: int, draws: int, p: mpmath.mpf) -> mpmath.mpf:
    """P(Binomial(draws, p) >= count), term by term."""
    term = mpmath.binomial(draws, count) * p**count * (1 - p) ** (draws - count)
    total = mpmath.mpf(0)
    for k in range(count, draws + 1):
        total += term
        term *= mpmath.mpf(draws - k) / (k + 1) * p / (1 - p)
    return total


def _quantile(p: mpmath.mpf) -> mpmath.mpf:
    return mpmath.sqrt(2) * mpmath.erfinv(2 * p - 1)
