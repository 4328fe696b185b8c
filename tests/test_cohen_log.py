"""Cohen's log format and its readings: against lines as published, exact sums and logs of known alpha."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from hiercls.words.errors import DataError
from hiercls_plugins.smoothing.cohen_log import ABSTAINED, HEADER, Entry, parse, read, render, write
from hiercls_plugins.smoothing.log_readings import (
    accuracy_table,
    average_radius,
    certified_accuracy,
    detect_alpha,
    overclaims,
)
from hiercls_plugins.smoothing.statistics import cap, one_sided

HEAD = "\t".join(HEADER) + "\n"
SECONDS = (
    HEAD + "0\t3\t3\t0.378\t1\t15.4\n20\t7\t-1\t0.0\t0\t15.6\n40\t4\t5\t0.341\t0\t15.7\n60\t1\t1\t0.978\t1\t16.0\n"
)
CLOCK = (
    HEAD + "0\t3\t-1\t0.0\t0\t0:00:13.736080\n20\t7\t7\t0.0734\t1\t1:02:03\n40\t4\t4\t4e-05\t1\t1 day, 0:00:01.500000\n"
)


def entries(*radii, label=0, predict=0):
    return [Entry(k, label, predict if radius else ABSTAINED, radius, 1.0) for k, radius in enumerate(radii)]


# --- the format -----------------------------------------------------------------------------------


def test_times_in_seconds_are_read():
    found = parse(SECONDS, "log")
    assert found[0] == Entry(0, 3, 3, 0.378, 15.4)
    assert [entry.predict for entry in found] == [3, ABSTAINED, 5, 1]
    assert [entry.correct for entry in found] == [True, False, False, True]


def test_times_on_a_clock_are_read():
    assert [entry.seconds for entry in parse(CLOCK, "log")] == [13.73608, 3723.0, 86401.5]
    assert parse(CLOCK, "log")[2].radius == 4e-05


@pytest.mark.parametrize("text", [SECONDS, CLOCK])
@pytest.mark.parametrize("time", ["clock", "seconds"])
def test_what_is_written_is_read_again(text, time, tmp_path):
    before = parse(text, "log")
    write(tmp_path / "log.tsv", before, time)
    assert read(tmp_path / "log.tsv") == before


def test_published_lines_are_written_as_they_were():
    assert render(parse(SECONDS, "log"), "seconds") == SECONDS
    clock = HEAD + "0\t3\t-1\t0.0\t0\t0:00:13.736080\n"
    assert render(parse(clock, "log"), "clock") == clock


def test_radii_are_written_in_full():
    radius = float(np.nextafter(0.25, 0))
    assert parse(render(entries(radius)), "log")[0].radius == radius


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1\t2\t2\t0.5\t1", "found 5 columns instead of 6"),
        ("1.5\t2\t2\t0.5\t1\t3.0", "idx '1.5' is not a whole number"),
        ("1\tcat\t2\t0.5\t1\t3.0", "label 'cat' is not a whole number"),
        ("1\t2\t2\tbig\t1\t3.0", "radius 'big' is not a number"),
        ("1\t2\t2\tnan\t1\t3.0", "radius nan is not a finite number"),
        ("1\t2\t2\tinf\t1\t3.0", "radius inf is not a finite number"),
        ("1\t2\t2\t-0.5\t1\t3.0", "radius -0.5 is not a finite number of at least 0"),
        ("1\t2\t-1\t0.5\t0\t3.0", "an abstention has no radius, found 0.5"),
        ("1\t2\t2\t0.5\t0\t3.0", "correct is 0, but label 2 was answered 2"),
        ("1\t2\t3\t0.5\t1\t3.0", "correct is 1, but label 2 was answered 3"),
        ("1\t2\t2\t0.5\t1\tsoon", "time 'soon' is neither seconds, such as 15.4, nor a clock"),
        ("1\t2\t2\t0.5\t1\t0:99:00", "time '0:99:00' is neither"),
        ("0\t2\t2\t0.5\t1\t3.0", "input 0 is already in line 2"),
        ("", "found 1 columns"),
    ],
)
def test_errors_name_file_and_line(line, message, tmp_path):
    path = tmp_path / "sigma_0.25"
    path.write_text(HEAD + "0\t3\t3\t0.378\t1\t15.4\n" + line + "\n")
    with pytest.raises(DataError) as error:
        read(path)
    assert str(error.value).startswith(f"{path}:3: ")
    assert message in str(error.value)


def test_files_that_are_no_logs_are_refused(tmp_path):
    path = tmp_path / "log"
    for content, message in (
        (b"", "log:1: not a log of certified inputs; its header must be idx label"),
        (b"idx,label\n0,1\n", "log:1: not a log"),
        (HEAD.encode(), "log:1: no input follows the header"),
        (b"\xff\xfe\x00", "log: is not text"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            read(path)
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read(tmp_path / "missing")


# --- readings -------------------------------------------------------------------------------------


def test_accuracy_counts_right_answers_with_at_least_the_radius():
    found = certified_accuracy(parse(SECONDS, "log"), [0, 0.341, 0.378, 0.379, 0.978, 1.0])
    assert found.tolist() == [0.5, 0.5, 0.5, 0.25, 0.25, 0.0]


def test_a_radius_of_zero_claims_nothing():
    right_without_radius = [Entry(0, 1, 1, 0.0, 1.0), Entry(1, 1, 1, 5e-324, 1.0)]
    assert certified_accuracy(right_without_radius, [0.0]).tolist() == [0.5]


def test_the_average_radius_counts_wrong_answers_and_abstentions_as_zero():
    assert average_radius(parse(SECONDS, "log")) == pytest.approx((0.378 + 0.978) / 4)


@pytest.mark.parametrize(("inputs", "alpha", "rho"), [(20, 0.05, 0.01), (120, 0.01, 0.001), (37, 0.3, 0.5)])
def test_overclaims_are_the_exact_binomial_quantile(inputs, alpha, rho):
    exact = Fraction(alpha)
    masses = [comb(inputs, k) * exact**k * (1 - exact) ** (inputs - k) for k in range(inputs + 1)]
    least = next(q for q in range(inputs + 1) if sum(masses[q + 1 :]) <= Fraction(rho))
    assert overclaims(inputs, alpha, rho) == least


def test_dependent_draws_pay_markovs_bound():
    assert overclaims(1000, 0.001, 0.05, independent=False) == 20
    assert overclaims(10, 0.1, 0.01, independent=False) == 10
    assert overclaims(1000, 0.001, 0.05) < 20
    with pytest.raises(ValueError, match="no bound for 0 inputs"):
        overclaims(0, 0.001, 0.05)


def test_the_bound_on_the_dataset_holds_with_its_probability():
    """Inputs that have no certificate at all in truth, each wrongly certified with probability alpha."""
    generator = np.random.default_rng(0)
    inputs, alpha, rho, wrong = 200, 0.05, 0.1, 0
    for _ in range(1000):
        log = entries(*np.where(generator.random(inputs) < alpha, 0.5, 0.0).tolist())
        wrong += accuracy_table(log, [0.25], alpha, rho)[0].at_least > 0
    assert 0 < wrong <= 1000 * rho + 4 * np.sqrt(1000 * rho * (1 - rho))


def test_tables_hold_accuracy_and_its_bound_at_every_radius():
    log = entries(*[0.5] * 90, *[0.0] * 10)
    first, last = accuracy_table(log, [0.25, 0.75], 0.001, 0.001)
    assert (first.radius, first.accuracy) == (0.25, 0.9)
    assert first.at_least == pytest.approx(0.9 - overclaims(100, 0.001, 0.001) / 100)
    assert (last.accuracy, last.at_least) == (0.0, 0.0)


# --- the alpha of a foreign log -------------------------------------------------------------------


def published(alpha, sigma, draws, chances, digits="{:.3}", seed=0):
    """A log as Cohen's code prints it, of inputs with these probabilities of the right answer."""
    counts = np.random.default_rng(seed).binomial(draws, chances)
    radii = [one_sided(np.array([count, draws - count]), 0, sigma, alpha).own for count in counts]
    return entries(*(float(digits.format(radius)) for radius in radii))


CLEAN = np.concatenate([np.full(40, 1 - 1e-7), np.linspace(0.3, 0.9999, 160)])


@pytest.mark.parametrize("alpha", [0.05, 0.01, 0.005, 0.001, 0.0001])
@pytest.mark.parametrize("sigma", [0.12, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("digits", ["{:.3}", "{!r}"])
def test_the_cap_tells_alpha(alpha, sigma, digits):
    found = detect_alpha(published(alpha, sigma, 100_000, CLEAN, digits), sigma, 100_000)
    assert found.value == pytest.approx(alpha)
    assert found.above <= alpha


def test_the_published_caps_of_cifar10_tell_the_larger_alpha():
    """.978 at sigma .25 is the cap of .01, not of .001 (Cohen et al. 2019, published logs)."""
    found = detect_alpha(entries(*[0.978] * 65, *[0.955] * 12, *[0.941] * 4), 0.25, 100_000)
    assert found.value == 0.01
    assert found.reason == "alpha is 0.01: 65 inputs share its cap, 0.978"
    assert cap(0.25, 100_000, 0.001) < 0.954


def test_a_largest_radius_of_few_inputs_tells_only_a_bound():
    found = detect_alpha(entries(0.978, 0.955, 0.955, 0.9), 0.25, 100_000)
    assert found.value is None
    assert "1 of 4 inputs have the largest radius, 0.978, which need not be the cap" in found.reason
    assert 0.0098 < found.above < 0.01


def test_inputs_near_the_cap_that_thin_out_towards_it_tell_nothing():
    """At alpha .01: inputs one draw short, which print as the cap of .001 does, and more two and three short."""
    found = detect_alpha(entries(*[1.91] * 9, *[1.88] * 20, *[1.86] * 30), 0.5, 100_000)
    assert found.value is None


@pytest.mark.parametrize("mean", [3.0, 5.0, 6.0, 8.0])
def test_alpha_is_not_told_wrongly_where_no_input_is_unanimous(mean):
    """Failures are Poisson; one draw short at alpha .01 prints as the cap of .001."""
    levels = [float(f"{one_sided(np.array([100_000 - k, k]), 0, 0.5, 0.01).own:.3}") for k in range(40)]
    told = set()
    for seed in range(300):
        failures = np.random.default_rng(seed).poisson(mean, 300)
        told.add(detect_alpha(entries(*(levels[k] for k in failures)), 0.5, 100_000).value)
    assert levels[1] == float(f"{cap(0.5, 100_000, 0.001):.3}")
    assert told <= {None, 0.01}


def test_a_cap_of_no_customary_alpha_or_of_several_is_said():
    odd = detect_alpha(published(0.003, 0.25, 100_000, CLEAN), 0.25, 100_000)
    assert odd.value is None
    assert "no customary alpha fits the cap" in odd.reason
    sigma = 0.996 / cap(1.0, 10_000_000, 1e-5)
    coarse = detect_alpha(entries(*[1.0] * 50), sigma, 10_000_000)
    assert coarse.value is None
    assert "5e-05 and 1e-05 fits the cap 1" in coarse.reason


def test_impossible_radii_and_empty_logs_are_said():
    found = detect_alpha(entries(*[1.1] * 20), 0.25, 100_000)
    assert found.value is None
    assert found.reason == "radius 1.1 is impossible with sigma 0.25 and 100000 draws at any alpha"
    assert detect_alpha(entries(0.0, 0.0), 0.25, 1000).reason == "alpha cannot be told: no input is certified"
    with pytest.raises(ValueError, match="no alpha of sigma 0"):
        detect_alpha(entries(0.5), 0, 1000)
