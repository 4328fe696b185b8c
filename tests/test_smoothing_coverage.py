"""Coverage of one decision: radii and answers of known votes are wrong at most alpha often."""

import numpy as np
import pytest
from coverage_toys import FIVE, PAIR, REPETITIONS, constant, engine, many, miscoverage, rows
from scipy.stats import binom, norm
from sequential_toys import ALPHA, SURE, above, at_most

from hiercls.values.draws import Purpose
from hiercls.values.heads import ABSTAIN


def selected(prover, inputs):
    return prover.decide(inputs, Purpose.SELECT)


@pytest.mark.parametrize("probability", [0.55, 0.8, 0.99])
def test_own_radii_of_half_spaces_exceed_the_truth_at_most_alpha_often(probability):
    prover = engine({PAIR: (probability, 1 - probability, 0)})
    found = rows(prover, many(), constant(prover, REPETITIONS))[PAIR]
    errors = sum(row.own > norm.ppf(probability) for row in found)
    exact = miscoverage(probability, 500, ALPHA)
    assert at_most(errors, ALPHA, REPETITIONS)
    assert binom.ppf(SURE, REPETITIONS, exact) <= errors <= binom.isf(SURE, REPETITIONS, exact)


@pytest.mark.parametrize("column", ["one-sided", "two-sided"])
@pytest.mark.parametrize(
    "cells", [(0.55, 0.15, 0.15, 0.1, 0.05, 0), (0.4, 0.2, 0.15, 0.15, 0.1, 0), (0.6, 0, 0, 0, 0, 0.4)]
)
def test_rows_of_several_children_hold_at_alpha_own_and_targeted_apart(column, cells):
    """Theorem 1 is tight: the true radius to child c is sigma/2 (Phi^-1(p_A) - Phi^-1(p_c))."""
    prover = engine({FIVE: cells}, column=column)
    truth = np.array([(norm.ppf(cells[0]) - norm.ppf(p)) / 2 for p in cells[1:]])
    found = rows(prover, many(2000), constant(prover, 2000))[FIVE]
    own = sum(row.own > truth.min() for row in found)
    targeted = sum(any(row.radii[1:] > truth[:4]) for row in found)
    assert at_most(own, ALPHA, 2000)
    assert at_most(targeted, ALPHA, 2000)


def test_radii_hold_for_whatever_child_selection_names():
    """Also where selection errs: a child that is not the most likely one has no radius."""
    prover = engine({PAIR: (0.52, 0.48, 0)}, draws=100, select=9)
    inputs = many()
    chosen = selected(prover, inputs)
    truth = np.where(chosen[PAIR].numpy() == 0, norm.ppf(0.52), 0.0)
    errors = sum(row.own > r for row, r in zip(rows(prover, inputs, chosen)[PAIR], truth, strict=True))
    assert (chosen[PAIR] == 1).float().mean() > 0.3
    assert at_most(errors, ALPHA, REPETITIONS)


def test_estimating_on_the_selection_draws_errs_more_than_alpha():
    """With even chances no radius is true; the draws that name a child also favour it."""
    options = {"probabilities": {PAIR: (0.5, 0.5, 0)}, "draws": 100, "select": 100}
    errors = {}
    for shared in (False, True):
        prover = engine(shared=shared, **options)
        inputs = many()
        errors[shared] = sum(row.own > 0 for row in rows(prover, inputs, selected(prover, inputs))[PAIR])
    assert at_most(errors[False], ALPHA, REPETITIONS)
    assert above(errors[True], ALPHA, REPETITIONS)


@pytest.mark.parametrize("cells", [(0.34, 0.36, 0.3, 0, 0, 0), (0.5, 0.5, 0, 0, 0, 0), (0.25, 0.35, 0, 0, 0, 0.4)])
@pytest.mark.parametrize("purpose", [Purpose.PREDICT, Purpose.AUDIT])
def test_a_wrong_child_is_answered_at_most_alpha_often(cells, purpose):
    """Among even chances every answer but the lowest counts as wrong; below the lost draws every one does."""
    prover = engine({FIVE: cells}, select=5, predict=200, audit=200)
    decided = prover.decide(many(), purpose)[FIVE].numpy()
    ideal = int(np.argmax(cells))
    wrong = (decided != ABSTAIN) & (decided != ideal)
    assert at_most(int(wrong.sum()), ALPHA, REPETITIONS)


def test_a_clear_child_is_answered():
    prover = engine({FIVE: (0.2, 0.7, 0.1, 0, 0, 0)}, predict=200)
    assert (prover.decide(many(500), Purpose.PREDICT)[FIVE] == 1).all()
