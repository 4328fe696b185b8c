"""The search for a tree: its moves, where it starts, and that it ends at the best of all there are."""

from math import log

import numpy as np
import pytest
from gain_toys import LETTERS, binary_trees, drawn

from hiercls_plugins.certified_gain.building import told_apart
from hiercls_plugins.certified_gain.margins import Margins
from hiercls_plugins.certified_gain.objective import Objective
from hiercls_plugins.certified_gain.search import climbed, merged_greedily, searched
from hiercls_plugins.certified_gain.shapes import (
    as_tree,
    edges,
    far_moves,
    near_moves,
    nodes,
    of_merges,
    of_tree,
    random_shape,
    star,
)


@pytest.mark.parametrize(("labels", "count"), [(3, 3), (5, 105), (6, 945)])
def test_the_search_finds_the_best_of_all_binary_trees(labels, count):
    every = list(binary_trees(frozenset(range(labels))))
    assert len({frozenset(edges(shape)) for shape in every}) == len(every) == count
    for seed in range(3):
        objective, random = Objective(*drawn(labels, 200, seed)), np.random.default_rng(seed)
        starts = {str(k): random_shape(labels, random) for k in range(10)}
        best = max(objective.gain(shape) for shape in every)
        found = searched(objective, starts, 2, random)
        assert found.gain == pytest.approx(best, abs=1e-12)
        assert objective.gain(found.shape) == found.gain == max(found.reached.values())


@pytest.mark.parametrize("seed", range(3))
def test_no_regraft_improves_the_tree_where_a_search_ends(seed):
    objective, random = Objective(*drawn(9, 300, seed=1)), np.random.default_rng(seed)
    end = climbed(objective, random_shape(9, random), 2, random)
    assert all(objective.gain(other) <= objective.gain(end) + 1e-9 for other in far_moves(end, 2, random))


@pytest.mark.parametrize("arity", [2, 3, 4])
def test_every_move_leads_to_a_tree_of_the_arity(arity):
    random = np.random.default_rng(arity)
    shape = random_shape(7, random)
    for moves in (near_moves, far_moves):
        for other in moves(shape, arity, random):
            tree = as_tree(other, tuple(LETTERS[:7]))  # a tree refuses children that do not partition their node
            assert len(tree.root) == 7
            assert all(len(tree.children(node)) <= arity for node in tree.decisions)
            assert of_tree(tree).keys() == other.keys()


def test_near_moves_are_the_nearest_neighbour_interchanges():
    random = np.random.default_rng(0)
    for _ in range(5):
        shape = random_shape(8, random)
        found = {frozenset(edges(other)) for other in near_moves(shape, 2, random)} - {frozenset(edges(shape))}
        inner = {node for node in nodes(shape) if node.bit_count() > 1}
        assert len(found) == 2 * (8 - 2)  # two for every inner edge of a rooted binary tree
        assert all(len({node for node, _ in other} - inner) == 1 for other in found)


def test_regrafts_lead_from_any_tree_to_every_other():
    random = np.random.default_rng(0)
    waiting = [random_shape(5, random)]
    seen = {frozenset(edges(waiting[0]))}
    while waiting:
        for other in far_moves(waiting.pop(), 2, random):
            if frozenset(edges(other)) not in seen:
                seen.add(frozenset(edges(other)))
                waiting.append(other)
    assert len(seen) == 105


def test_a_node_gives_up_its_level_where_the_arity_has_room():
    shape = {0b11111: (0b111, 8, 16), 0b111: (1, 2, 4)}
    for arity, contains in ((5, True), (4, False)):
        found = [edges(other) for other in near_moves(shape, arity, np.random.default_rng(0))]
        assert (edges(star(5)) in found) == contains


def test_with_room_for_all_labels_the_search_gives_up_every_level():
    objective, random = Objective(*drawn(6, 200, seed=3, noise=0.1)), np.random.default_rng(3)
    end = climbed(objective, random_shape(6, random), 6, random)
    assert objective.gain(end) == pytest.approx(objective.gain(star(6)), abs=1e-12)


def confusable():
    """Four labels; nothing tells 0 from 2, or 1 from 3."""
    answer = np.arange(400) % 4
    beats = np.zeros((400, 4, 4), dtype=bool)
    for i in range(4):
        beats[answer == i, i] = [(j - i) % 2 == 1 for j in range(4)]
    return beats, answer, answer


def test_labels_that_are_never_told_apart_are_put_together():
    objective = Objective(*confusable())
    best = merged_greedily(objective, 2)
    assert as_tree(best, tuple("abcd")).partition() == [[0, 2], [1, 3]]
    assert objective.gain(best) == pytest.approx(0.5)  # two of four labels are left, for every input
    assert objective.gain(of_merges(np.array([[0, 1], [2, 3], [4, 5]]), 4)) == pytest.approx(1 - log(3) / log(4))


def test_how_often_two_labels_are_told_apart_is_counted_from_both_sides():
    beats, answer, _ = confusable()
    beats[4:, 1, 0] = False
    rates = told_apart([Margins(beats, answer)])
    assert rates[0, 1] == rates[1, 0] == pytest.approx((100 + 1) / 200)
    assert rates[0, 2] == 0
    assert np.array_equal(rates, rates.T)
    assert not rates.diagonal().any()
