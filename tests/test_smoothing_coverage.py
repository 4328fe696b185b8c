"""Coverage of the engine's own claims, with a vote source of known probabilities in the place of the network."""

from math import inf, nextafter

import numpy as np
import pytest
import torch
from scipy.stats import binom, norm

from hiercls.contracts.context import Context
from hiercls.contracts.provers import Claim
from hiercls.values.certificates import NodeCertificates, Scope
from hiercls.values.compose import compose
from hiercls.values.draws import Purpose
from hiercls.values.heads import ABSTAIN, restricted
from hiercls.values.labels import flat_tree, grow
from hiercls.values.readings import answer_radius, group_radius, label_set
from hiercls.values.views import Inputs
from hiercls.words.norms import L2
from hiercls.words.threats import EVERYWHERE, Threat
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

    sigma = 1.0
    block = 100

    def __init__(self, probabilities, shared=False, seed=0, batch=64):
        self.probabilities = probabilities
        self.shared = shared
        self.seed = seed
        self.batch = batch

    def booth(self, purpose, draws):
        return KnownBooth(self, 0 if self.shared else purpose.value)

    def entries(self, one):
        return 1

    def slack(self, entries):
        return 0.0

    def remarks(self):
        return {}

    def fresh(self, generator, draws, ballots):
        drawn = {head: generator.multinomial(draws, p) for head, p in self.probabilities.items()}
        return {ballot: drawn[ballot.head] for ballot in ballots}


class Ranked(Known):
    """Votes of one flat network whose logits are drawn from a few with known probabilities: all heads share draws.

    probabilities: (O,) of each outcome; logits: (O, outputs).
    """

    def __init__(self, probabilities, logits, **options):
        super().__init__(probabilities, **options)
        self.logits = torch.tensor(logits, dtype=torch.float32)[:, None]

    def fresh(self, generator, draws, ballots):
        drawn = generator.multinomial(draws, self.probabilities)
        sure = torch.ones(len(drawn), 1, dtype=torch.bool)
        return {ballot: drawn @ ballot.tally(self.logits, sure).numpy() for ballot in ballots}


class KnownBooth:
    """Counts without a network; the inputs asked for last are finished first, so that they retire out of order."""

    def __init__(self, votes, stream):
        self.votes, self.stream, self.seats = votes, stream, votes.batch
        self.generators, self.counts, self.finished = {}, {}, []

    def ask(self, seat, one, ballots, start, stop):
        if start == 0:
            self.generators[seat] = np.random.default_rng((self.votes.seed, self.stream, int(one.index[0])))
            self.counts[seat] = dict.fromkeys(ballots, 0)
        fresh = self.votes.fresh(self.generators[seat], stop - start, ballots)
        self.counts[seat] = {ballot: self.counts[seat][ballot] + fresh[ballot] for ballot in ballots}
        self.finished.append(seat)

    def ready(self):
        some, self.finished = self.finished[-5:], self.finished[:-5]
        return {seat: self.counts[seat] for seat in some}


def parts(*groups):
    return [frozenset(group) for group in groups]


def engine(probabilities, alpha=ALPHA, shared=False, seed=0, **options):
    return certifying(Known(probabilities, shared, seed), tuple(probabilities), alpha, **options)


def certifying(votes, heads, alpha=ALPHA, budgets=(), **options):
    options = Smoothing(**{"sigma": 1.0, "draws": 500, **options})
    return Smoothed(votes, heads, options, Context(alpha=alpha, threat=Threat(L2, budgets)))


def many(count=REPETITIONS):
    return Inputs(torch.arange(count), {"image": torch.zeros(count, 1)})


def rows(prover, inputs, chosen):
    """Rows of each head, for inputs whose chosen children are given."""
    claims = [Claim(inputs[k : k + 1], {head: int(chosen[head][k]) for head in chosen}) for k in range(len(inputs))]
    found = {proof.index: proof.rows for proof in prover.prove(claims)}
    return {head: [found[index][head] for index in inputs.index.tolist()] for head in chosen}


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


# --- stopped draws -------------------------------------------------------------------------------------


NEAR = 0.2
"""A radius just above the truth of `SHORT`."""
SHORT = float(norm.cdf(NEAR)) - 1e-12

STOPS = {
    "one radius": {"grid": {"radii": [NEAR]}},
    "grid": {"grid": {"radii": [0, 0.1, NEAR, 0.3]}},
    "radius": {"tolerance": 0.1},
}


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


THREE = restricted(parts([0], [1], [2]))
CYCLE = (0.34, 0.36, 0.30), [(3, 2, 1), (2, 3, 1), (2, 1, 3)]
"""Orders ABC, BAC, CAB: most draws put B first, while A beats B on .64 and C on .70 of them."""


def test_the_pairwise_winner_may_be_another_than_the_most_frequent_child():
    votes = Ranked(*CYCLE)
    decided = [
        certifying(votes, (THREE,), rule=rule, select=2000).decide(many(20), Purpose.PREDICT)[THREE]
        for rule in ("pairwise", "plurality")
    ]
    assert (decided[0] == 0).all()
    assert set(decided[1].tolist()) <= {1, ABSTAIN}


def test_no_pairwise_winner_abstains():
    """Orders ABC, BCA, CAB: A beats B, B beats C, C beats A."""
    votes = Ranked((0.34, 0.33, 0.33), [(3, 2, 1), (1, 3, 2), (2, 1, 3)])
    prover = certifying(votes, (THREE,), rule="pairwise", select=1001, predict=1000)
    assert (prover.decide(many(50), Purpose.SELECT)[THREE] == ABSTAIN).all()


def test_a_wrong_pairwise_candidate_is_confirmed_at_most_alpha_often():
    votes = Ranked((0.5, 0.5), [(3, 2, 1), (2, 3, 1)])
    prover = certifying(votes, (THREE,), rule="pairwise", select=5, predict=200)
    decided = prover.decide(many(800), Purpose.PREDICT)[THREE]
    assert at_most(int((decided != ABSTAIN).sum()), 2 * ALPHA, 800), "an error where it names A, or B"


@pytest.mark.parametrize("stop", ["fixed", "grid", "radius"])
def test_pairwise_rows_hold_at_alpha_own_and_targeted_apart(stop):
    votes = Ranked(*CYCLE)
    prover = certifying(votes, (THREE,), rule="pairwise", draws=800, stop=STOPS.get(stop, stop))
    truth = norm.ppf([0.64, 0.70])
    found = rows(prover, many(800), constant(prover, 800))[THREE]
    assert at_most(sum(row.own > truth.min() for row in found), ALPHA, 800)
    assert at_most(sum(any(row.radii[1:] > truth) for row in found), ALPHA, 800)
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
