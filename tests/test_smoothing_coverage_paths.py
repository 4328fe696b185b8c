"""Coverage of whole paths: minima hold at alpha, joint readings at their printed level."""

from math import inf, nextafter

import pytest
from coverage_toys import FIVE, REPETITIONS, _certificates, chain, constant, engine, many, miscoverage, rows
from scipy.stats import binom, norm
from sequential_toys import ALPHA, SURE, above, at_most

from hiercls.values.compose import compose
from hiercls.values.heads import restricted
from hiercls.values.labels import flat_tree
from hiercls.values.readings import answer_radius, group_radius, label_set


def composed(tree, probabilities, alpha, count, **options):
    """Certificates of the whole tree from the engine's rows; every node chooses its second child."""
    heads = {node: restricted(tree.children(node)) for node in tree.decisions}
    prover = engine(
        {head: (1 - p, p, 0) for head, p in zip(heads.values(), probabilities, strict=True)}, alpha, **options
    )
    found = rows(prover, many(count), constant(prover, count, child=1))
    return compose(tree, {node: _certificates(head, found[head], alpha) for node, head in heads.items()})


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
