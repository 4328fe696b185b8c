"""The gain of a tree on given margins: that of the definition, on every tree and after every move."""

from itertools import islice

import numpy as np
import pytest
from gain_toys import LETTERS, drawn, gains, label_set

from hiercls.values.labels import flat_tree
from hiercls_plugins.certified_gain.building import pooled
from hiercls_plugins.certified_gain.margins import Margins
from hiercls_plugins.certified_gain.objective import Objective
from hiercls_plugins.certified_gain.shapes import as_tree, edges, far_moves, of_tree, random_shape, star


@pytest.mark.parametrize("labels", [2, 5, 9])
@pytest.mark.parametrize("seed", range(3))
def test_the_gain_of_a_tree_is_that_of_the_definition(labels, seed):
    beats, answer, truth = drawn(labels, 60, seed)
    objective, random = Objective(beats, answer, truth), np.random.default_rng(seed)
    for shape in (star(labels), random_shape(labels, random), *islice(far_moves(star(labels), 4, random), 9)):
        expected = gains(as_tree(shape, tuple(LETTERS[:labels])), beats, answer, truth)
        assert objective.each(shape) == pytest.approx(expected, abs=1e-12)
        assert objective.gain(shape) == pytest.approx(np.mean(expected), abs=1e-12)


def test_more_labels_than_a_word_has_bits_are_counted_too():
    beats, answer, truth = drawn(70, 25, seed=0, noise=0.2)
    shape = random_shape(70, np.random.default_rng(0))
    tree = as_tree(shape, tuple(f"label {k}" for k in range(70)))
    assert Objective(beats, answer, truth).each(shape) == pytest.approx(gains(tree, beats, answer, truth), abs=1e-12)


def test_a_move_is_measured_as_the_tree_it_leads_to():
    objective, random = Objective(*drawn(7, 80, seed=1)), np.random.default_rng(1)
    shape = random_shape(7, random)
    for other in islice(far_moves(shape, 3, random), 60):
        moved = objective.moved(objective.codes(shape), edges(shape), edges(other))
        assert np.array_equal(moved, objective.codes(other))


@pytest.mark.parametrize("seed", range(4))
def test_the_flat_label_set_lies_inside_that_of_every_tree(seed):
    beats, answer, truth = drawn(7, 60, seed)
    flat = flat_tree(LETTERS[:7])
    tree = as_tree(random_shape(7, np.random.default_rng(seed)), tuple(LETTERS[:7]))
    for one, label in zip(beats, answer, strict=True):
        assert label_set(flat, one, int(label)) <= label_set(tree, one, int(label))
    held = [int(y) in label_set(flat, one, int(label)) for one, label, y in zip(beats, answer, truth, strict=True)]
    apart = np.subtract(gains(flat, beats, answer, truth), gains(tree, beats, answer, truth))
    assert (apart[held] >= -1e-12).all()


def test_the_gain_at_several_budgets_is_the_mean_of_the_gains_at_each():
    first, second = drawn(6, 50, seed=0, budget=0.3), drawn(6, 50, seed=0, budget=1.2)
    truth, tree = first[2], as_tree(random_shape(6, np.random.default_rng(0)), tuple("abcdef"))
    expected = np.mean([gains(tree, *first), gains(tree, *second)])
    found = pooled([Margins(*first[:2]), Margins(*second[:2])], truth)
    assert found.gain(of_tree(tree)) == pytest.approx(expected, abs=1e-12)
