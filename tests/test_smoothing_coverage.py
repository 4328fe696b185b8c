"""Coverage of the engine's own claims, with a vote source of known probabilities in the place of the network."""

from math import inf, nextafter

import numpy as np
import pytest
import torch
from scipy.stats import binom, norm

from hiercls.contracts.provers import Claim
from hiercls.values.certificates import NodeCertificates, Scope
from hiercls.values.compose import compose
from hiercls.values.draws import Purpose
from hiercls.values.heads import ABSTAIN, restricted
from hiercls.values.labels import flat_tree, grow
from hiercls.values.readings import answer_radius, group_radius, label_set
from hiercls.values.views import Inputs
from hiercls.words.norms import L2
from hiercls.words.threats import EVERYWHERE
from hiercls_plugins.smoothing.certifier import Smoothing
from hiercls_plugins.smoothing.engine import Smoothed
from hiercls_plugins.smoothing.statistics import lower_bound

ALPHA = 0.05
REPETITIONS = 4000
SURE = 1e-6
"""How seldom a test of this file may fail by bad luck under another seed."""


class Known:
    """Votes with known probabilities: half-spaces in directions of their own, so that heads are independent.

    `shared` is the mistake of drawing for selection and for estimation from one stream.
    """

    def __init__(self, probabilities, shared=False, seed=0):
        self.probabilities = probabilities
        self.shared = shared
        self.seed = seed

    def count(self, one, purpose, draws, heads):
        stream = 0 if self.shared else purpose.value
        generator = np.random.default_rng((self.seed, stream, int(one.index[0])))
        drawn = {head: generator.multinomial(draws, p) for head, p in self.probabilities.items()}
        return {head: drawn[head] for head in heads}


def parts(*groups):
    return [frozenset(group) for group in groups]


def engine(probabilities, alpha=ALPHA, shared=False, seed=0, **options):
    options = Smoothing(**{"sigma": 1.0, "draws": 500, **options})
    return Smoothed(Known(probabilities, shared, seed), tuple(probabilities), options, alpha)


def many(count=REPETITIONS):
    return Inputs(torch.arange(count), {"image": torch.zeros(count, 1)})


def rows(prover, inputs, chosen):
    """Rows of each head, for inputs whose chosen children are given."""
    claims = [Claim(inputs[k : k + 1], {head: int(chosen[head][k]) for head in chosen}) for k in range(len(inputs))]
    found = [proof.rows for proof in prover.prove(claims)]
    return {head: [proof[head] for proof in found] for head in chosen}


def selected(prover, inputs):
    return prover.decide(inputs, Purpose.SELECT)


def constant(prover, count, child=0):
    return {head: [child] * count for head in prover.heads}


def at_most(errors, level, count):
    """Whether this many errors are plausible under an error rate of at most `level`."""
    return errors <= binom.isf(SURE, count, level)


def above(errors, level, count):
    """Whether this many errors prove an error rate above `level`."""
    return errors > binom.isf(SURE, count, level)


def miscoverage(probability, draws, alpha):
    """The exact probability that a one-sided lower bound lies above the truth."""
    counts = np.arange(draws + 1)
    wrong = np.array([lower_bound(int(k), draws, alpha) for k in counts]) > probability
    return binom.pmf(counts, draws, probability)[wrong].sum()


PAIR = restricted(parts([0], [1]))
FIVE = restricted(parts([0], [1], [2], [3], [4]))


# --- one decision ---------------------------------------------------------------------------------


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


# --- whole paths -------------------------------------------------------------------------------------


def chain(nodes):
    """A tree in which every decision parts one label from the rest: `nodes` decisions on the longest path."""
    labels = range(nodes + 1)
    children = {frozenset(labels[k:]): parts([k], labels[k + 1 :]) for k in range(nodes)}
    return grow([f"label {label}" for label in labels], children)


def composed(tree, probabilities, alpha, count, **options):
    """Certificates of the whole tree from the engine's rows; every node chooses its second child."""
    heads = {node: restricted(tree.children(node)) for node in tree.decisions}
    prover = engine(
        {head: (1 - p, p, 0) for head, p in zip(heads.values(), probabilities, strict=True)}, alpha, **options
    )
    found = rows(prover, many(count), constant(prover, count, child=1))
    return compose(tree, {node: _certificates(head, found[head], alpha) for node, head in heads.items()})


def _certificates(head, found, alpha):
    own = torch.tensor([row.own for row in found], dtype=torch.float64)
    radii = torch.tensor([row.radii for row in found], dtype=torch.float64)
    chosen = torch.tensor([row.chosen for row in found])
    return NodeCertificates(head.children, chosen, own, radii, alpha, Scope(L2, "image", EVERYWHERE))


@pytest.mark.parametrize("probabilities", [(0.7, 0.7), (0.7, 0.7, 0.7, 0.7, 0.7), (0.9, 0.6, 0.8, 0.61, 0.99)])
def test_path_minima_hold_at_alpha_without_correction(probabilities):
    count = 2000
    certificates = composed(chain(len(probabilities)), probabilities, ALPHA, count)
    reading = answer_radius(certificates)
    assert reading.alpha == ALPHA
    assert at_most(int((reading.values > norm.ppf(min(probabilities))).sum()), ALPHA, count)
    above_last = group_radius(certificates, len(probabilities) - 1)
    assert at_most(int((above_last.values > norm.ppf(min(probabilities[:-1]))).sum()), ALPHA, count)


def wrong_sets(nodes, alpha, count):
    """Label sets that miss a reachable label, at a budget just above the true radius of every node."""
    certificates = composed(chain(nodes), [0.7] * nodes, alpha, count)
    reading = label_set(certificates, nextafter(float(norm.ppf(0.7)), inf))
    return int((~reading.values.all(dim=1)).sum()), reading.alpha


@pytest.mark.parametrize(("nodes", "simulated"), [(2, 0.084), (3, 0.124), (5, 0.199)])
def test_joint_readings_err_above_alpha_and_below_the_printed_sum(nodes, simulated):
    count = REPETITIONS // 2
    errors, printed = wrong_sets(nodes, ALPHA, count)
    exact = 1 - (1 - miscoverage(0.7, 500, ALPHA)) ** nodes
    assert printed == pytest.approx(nodes * ALPHA)
    assert above(errors, ALPHA, count)
    assert at_most(errors, printed, count)
    assert binom.ppf(SURE, count, exact) <= errors <= binom.isf(SURE, count, exact)
    assert exact == pytest.approx(simulated, rel=0.15)


@pytest.mark.parametrize("nodes", [2, 3, 5])
def test_joint_readings_hold_at_alpha_where_alpha_was_divided(nodes):
    count = REPETITIONS // 2
    errors, printed = wrong_sets(nodes, ALPHA / nodes, count)
    assert printed == pytest.approx(ALPHA)
    assert at_most(errors, ALPHA, count)


def test_label_sets_of_one_flat_decision_hold_at_alpha():
    """The targeted radii of one row hold together, so a label set of one node costs its alpha once."""
    cells = (0.5, 0.2, 0.2, 0.05, 0.05, 0)
    prover = engine({FIVE: cells}, column="two-sided")
    found = rows(prover, many(2000), constant(prover, 2000))
    tree = flat_tree("abcde")
    certificates = compose(tree, {tree.root: _certificates(FIVE, found[FIVE], ALPHA)})
    budget = nextafter(float(norm.ppf(0.5) - norm.ppf(0.2)) / 2, inf)
    reading = label_set(certificates, budget)
    assert reading.alpha == ALPHA
    assert at_most(int((~reading.values[:, :3].all(dim=1)).sum()), ALPHA, 2000)


def test_an_unconfirmed_node_below_a_certified_one_ends_the_path_radius_and_not_the_group_radius():
    certificates = composed(chain(2), (0.95, 0.5), 0.001, 50)
    assert (answer_radius(certificates).values == 0).all()
    assert (group_radius(certificates, 1).values > 1).all()
    assert label_set(certificates, 1.0).values.tolist() == [[False, True, True]] * 50
