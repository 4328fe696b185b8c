"""Boundaries of one radius against exact rational arithmetic, enumeration, statsmodels and mpmath."""

from fractions import Fraction
from itertools import product
from math import comb, log
from subprocess import run
from sys import executable

import mpmath
import numpy as np
import pytest
from scipy.stats import norm
from sequential_toys import ALPHA
from statsmodels.stats.proportion import proportion_confint

from hiercls_plugins.smoothing.binomial import LARGEST_DRAWS, TRIMMED
from hiercls_plugins.smoothing.grid import grid
from hiercls_plugins.smoothing.sequential import boundaries, looks, null_probability, spending, tail_slack
from hiercls_plugins.smoothing.statistics import cap, smallest_draws
from hiercls_plugins.smoothing.tolerance import within


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


def test_the_statistics_import_no_torch():
    names = ("sequential", "grid", "tolerance", "pairwise", "statistics", "cohen_log", "log_readings")
    imports = ", ".join(f"hiercls_plugins.smoothing.{name}" for name in names)
    script = f"import {imports}, sys; sys.exit('torch' in sys.modules)"
    assert run([executable, "-c", script], check=False).returncode == 0
