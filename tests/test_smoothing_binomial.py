"""Binomial masses against mpmath."""

import mpmath
import pytest
from scipy.stats import binom

from hiercls_plugins.smoothing.binomial import LARGEST_DRAWS, TRIMMED, binomial


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
