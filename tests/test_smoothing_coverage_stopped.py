"""Coverage of stopped draws: rows and paths are wrong at most as often as they say."""

from math import inf, nextafter

import numpy as np
import pytest
from coverage_toys import (
    FIVE,
    PAIR,
    SHORT,
    STOPS,
    Ranked,
    _certificates,
    certifying,
    chain,
    constant,
    engine,
    many,
    rows,
)
from scipy.stats import norm
from sequential_toys import ALPHA, at_most

from hiercls.values.compose import compose
from hiercls.values.heads import restricted
from hiercls.values.readings import answer_radius, label_set


@pytest.mark.parametrize("stop", STOPS)
def test_radii_of_stopped_half_spaces_exceed_the_truth_at_most_alpha_often(stop):
    prover = engine({PAIR: (SHORT, 1 - SHORT, 0)}, draws=1200, stop=STOPS[stop])
    found = rows(prover, many(800), constant(prover, 800))[PAIR]
    errors = sum(row.own > norm.ppf(SHORT) for row in found)
    assert at_most(errors, ALPHA, 800)
    assert errors > (0.005 if stop == "radius" else 0.03) * 800, "at its worst case a test spends its level"
    assert {row.evidence["stop"]["reason"] for row in found} <= {"certified", "given up", "exhausted"}
    assert np.mean([row.evidence["draws"] for row in found]) < 1200


def test_even_chances_are_certified_at_most_alpha_often():
    prover = engine({PAIR: (0.5, 0.5, 0)}, draws=1200, stop={"grid": {"radii": [0]}})
    found = rows(prover, many(800), constant(prover, 800))[PAIR]
    assert at_most(sum(row.own > 0 for row in found), ALPHA, 800)


@pytest.mark.parametrize("stop", ["grid", "radius"])
def test_two_sided_rows_of_stopped_draws_hold_at_alpha_own_and_targeted_apart(stop):
    cells = (0.45, 0.2, 0.15, 0.15, 0.05, 0)
    prover = engine({FIVE: cells}, column="two-sided", draws=800, stop=STOPS[stop])
    truth = np.array([(norm.ppf(cells[0]) - norm.ppf(p)) / 2 for p in cells[1:5]])
    found = rows(prover, many(600), constant(prover, 600))[FIVE]
    assert at_most(sum(row.own > truth.min() for row in found), ALPHA, 600)
    assert at_most(sum(any(row.radii[1:] > truth) for row in found), ALPHA, 600)
    assert np.mean([row.own > 0 for row in found]) > 0.9


def shared_path(nodes, stop, alpha, count, column="one-sided"):
    """Certificates of a chain whose nodes are restricted from one network and share all draws.

    Every node sends the input down with probability SHORT, on draws of its own third: labels lead in turn.
    """
    tree = chain(nodes)
    heads = {node: restricted(tree.children(node)) for node in tree.decisions}
    wrong = (1 - SHORT) / nodes
    last = [float(k) for k in range(nodes + 1)]
    outcomes = [last, *([*last[:k], nodes + 1.0, *last[k + 1 :]] for k in range(nodes))]
    votes = Ranked([1 - nodes * wrong, *([wrong] * nodes)], outcomes)
    prover = certifying(votes, tuple(heads.values()), alpha, draws=1200, stop=STOPS[stop], column=column)
    found = rows(prover, many(count), constant(prover, count, child=1))
    truth = {node: norm.ppf(1 - wrong) for node in heads}
    return truth, compose(tree, {node: _certificates(head, found[head], alpha) for node, head in heads.items()})


@pytest.mark.parametrize("stop", STOPS)
def test_path_minima_of_stopped_shared_draws_hold_at_alpha(stop):
    count = 500
    truth, certificates = shared_path(3, stop, ALPHA, count)
    reading = answer_radius(certificates)
    assert reading.alpha == ALPHA
    assert at_most(int((reading.values > min(truth.values())).sum()), ALPHA, count)


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize(("alpha", "printed"), [(ALPHA, 3 * ALPHA), (ALPHA / 3, ALPHA)])
def test_joint_readings_of_stopped_shared_draws_hold_at_their_printed_level(stop, alpha, printed):
    count = 500
    truth, certificates = shared_path(3, stop, alpha, count)
    reading = label_set(certificates, nextafter(float(min(truth.values())), inf))
    assert reading.alpha == pytest.approx(printed)
    assert at_most(int((~reading.values.all(dim=1)).sum()), printed, count)
