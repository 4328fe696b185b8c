"""Every reading against its definition, decided by an adversary that tries everything."""

import math

import pytest
import torch
from brute_force import SCOPE, World, answerable, budgets, largest_budget, path, worlds
from hypothesis import given, settings
from hypothesis import strategies as st

from hiercls.values.certificates import NodeCertificates
from hiercls.values.compose import compose
from hiercls.values.groups import tree_from_groups
from hiercls.values.heads import ABSTAIN, UNREACHED
from hiercls.values.labels import LabelTree
from hiercls.values.readings import (
    affinity_radius,
    answer_radius,
    at_most,
    certified_node,
    group_radius,
    information_gain,
    label_set,
    never_answered,
)
from hiercls.words.errors import ConfigurationError

everything = settings(max_examples=50, deadline=None)


@everything
@given(worlds(random=True))
def test_the_answer_radius_is_the_smallest_own_radius_of_its_path(world: World):
    found = answer_radius(compose(world.tree, world.nodes)).values.tolist()
    for example, radius in enumerate(found):
        walked = path(world, example)
        expected = min(own for _, own in walked) if len(walked[-1][0]) == 1 else 0.0
        assert radius == expected


@everything
@given(worlds(masked=True))
def test_without_a_divided_alpha_the_answer_radius_is_where_another_label_becomes_answerable(world: World):
    certificates = compose(world.tree, world.nodes)
    for example, radius in enumerate(answer_radius(certificates).values.tolist()):
        last = path(world, example)[-1][0]
        if len(last) == 1:
            assert radius == largest_budget(world, example, lambda found, last=last: found <= last)


@everything
@given(worlds(random=True), st.integers(0, 6))
def test_the_group_radius_is_the_smallest_own_radius_above_the_group(world: World, level: int):
    for example, radius in enumerate(group_radius(compose(world.tree, world.nodes), level).values.tolist()):
        walked = path(world, example)
        last = walked[-1][0]
        if len(last) > 1 and world.tree.level(last) < level:
            assert radius == 0
        else:
            assert radius == min(own for node, own in walked if world.tree.level(node) <= level)


@everything
@given(worlds(masked=True))
def test_inside_the_group_radius_only_labels_of_the_group_are_answerable(world: World):
    certificates = compose(world.tree, world.nodes)
    for level in range(world.tree.depth + 1):
        for example, radius in enumerate(group_radius(certificates, level).values.tolist()):
            if radius > 0:
                group = [node for node, _ in path(world, example) if world.tree.level(node) <= level][-1]
                assert answerable(world, example, radius) <= group


@everything
@given(worlds(random=True))
def test_the_certified_node_is_the_deepest_whose_group_radius_reaches_the_budget(world: World):
    certificates = compose(world.tree, world.nodes)
    order = tuple(world.tree)
    for budget in budgets(world)[:12] + [math.inf]:
        for example, place in enumerate(certified_node(certificates, budget).values.tolist()):
            smallest, deepest = math.inf, world.tree.root
            for node, own in path(world, example):
                smallest = min(smallest, own)
                if smallest > 0 and smallest >= budget:
                    deepest = node
            assert order[place] == deepest


@everything
@given(worlds(random=True, masked=True))
def test_the_label_set_holds_what_is_answerable_and_nothing_else(world: World):
    certificates = compose(world.tree, world.nodes)
    for budget in budgets(world):
        sets = label_set(certificates, budget).values
        for example in range(world.count):
            found = set(sets[example].nonzero().flatten().tolist())
            assert found == answerable(world, example, budget)
            answer = path(world, example)[-1][0]
            allowed = set(world.allowed[example].nonzero().flatten().tolist())
            assert answer & allowed <= found


@everything
@given(worlds(random=True))
def test_a_label_is_never_answered_up_to_its_radius(world: World):
    certificates = compose(world.tree, world.nodes)
    for label in range(len(world.tree.labels)):
        for example, radius in enumerate(never_answered(certificates, label).values.tolist()):
            assert radius == largest_budget(world, example, lambda found, label=label: label not in found)


@everything
@given(worlds(masked=True), st.data())
def test_affinity_is_the_largest_budget_at_which_one_set_holds_every_answer(world: World, data: st.DataObject):
    labels = range(len(world.tree.labels))
    drawn = data.draw(st.lists(st.frozensets(st.sampled_from(labels)), max_size=4))
    sets = [group for group in drawn if len(group) < len(labels)]
    for example, radius in enumerate(affinity_radius(compose(world.tree, world.nodes), sets).values.tolist()):
        answer = path(world, example)[-1][0]
        holding = [group for group in sets if answer <= group]
        assert radius == max(
            (largest_budget(world, example, lambda found, g=group: found <= g) for group in holding), default=0.0
        )


@everything
@given(worlds(masked=True), st.integers(0, 7))
def test_at_most_counts_the_answerable_labels(world: World, count: int):
    for example, radius in enumerate(at_most(compose(world.tree, world.nodes), count).values.tolist()):
        assert radius == largest_budget(world, example, lambda found: len(found) <= count)


@everything
@given(worlds(masked=True), st.data())
def test_information_gain_is_one_for_one_label_and_zero_for_all_or_without_the_truth(world: World, data: st.DataObject):
    labels = len(world.tree.labels)
    truth = data.draw(st.lists(st.integers(0, labels - 1), min_size=world.count, max_size=world.count))
    certificates = compose(world.tree, world.nodes)
    for budget in budgets(world)[:12]:
        gain = information_gain(certificates, budget, torch.tensor(truth)).values.tolist()
        for example, found in enumerate(gain):
            reachable = answerable(world, example, budget)
            holds = truth[example] in reachable
            assert found == pytest.approx(1 - math.log(len(reachable)) / math.log(labels) if holds else 0.0, abs=1e-12)


def test_information_gain_by_hand():
    """Three of four labels left: 1 - ln 3 / ln 4."""
    tree = tree_from_groups(list("abcd"), ["a", ["b", "c", "d"]])
    (root, inner) = tree.decisions
    zeros = torch.zeros(1, 3, dtype=torch.float64)
    own = torch.tensor([0.5], dtype=torch.float64)
    radii = torch.tensor([[0.5, 0.0]], dtype=torch.float64)
    nodes = {
        root: NodeCertificates(tree.children(root), torch.tensor([1]), own, radii, 0.0, SCOPE),
        inner: NodeCertificates(tree.children(inner), torch.tensor([0]), zeros[:, 0], zeros, 0.0, SCOPE),
    }
    gain = information_gain(compose(tree, nodes), 0.5, torch.tensor([2])).values
    assert float(gain) == pytest.approx(0.20751874963942196)


def test_abstention_ends_the_guarantee():
    """The group above keeps its radius, the answer has none, and no group below it exists."""
    tree, nodes = abstaining()
    certificates = compose(tree, nodes)
    order = tuple(tree)
    assert answer_radius(certificates).values.tolist() == [0.0]
    assert group_radius(certificates, 1).values.tolist() == [0.5]
    assert group_radius(certificates, 2).values.tolist() == [0.0]
    assert order[int(certified_node(certificates, 0.25).values)] == frozenset((1, 2))
    assert order[int(certified_node(certificates, 0.75).values)] == tree.root


def test_a_path_that_nothing_certifies_further_ends_like_an_abstention():
    tree, nodes = abstaining()
    del nodes[tree.decisions[1]]
    certificates = compose(tree, nodes)
    assert answer_radius(certificates).values.tolist() == [0.0]
    assert group_radius(certificates, 1).values.tolist() == [0.5]
    assert group_radius(certificates, 2).values.tolist() == [0.0]


def abstaining() -> tuple[LabelTree, dict]:
    tree = tree_from_groups(list("abc"), ["a", ["b", "c"]])
    root, inner = tree.decisions
    zeros = torch.zeros(1, 2, dtype=torch.float64)
    own = torch.tensor([0.5], dtype=torch.float64)
    radii = torch.tensor([[0.5, 0.0]], dtype=torch.float64)
    return tree, {
        root: NodeCertificates(tree.children(root), torch.tensor([1]), own, radii, 0.001, SCOPE),
        inner: NodeCertificates(tree.children(inner), torch.tensor([ABSTAIN]), zeros[:, 0], zeros, 0.002, SCOPE),
    }


def test_path_readings_take_own_radii_and_joint_readings_the_targeted_ones():
    """A row whose targeted radii were proved at a divided alpha: own .5, targeted .3 and .4."""
    tree = tree_from_groups(list("abc"), ["a", "b", "c"])
    own = torch.tensor([0.5], dtype=torch.float64)
    radii = torch.tensor([[0.0, 0.3, 0.4]], dtype=torch.float64)
    rows = NodeCertificates(tree.children(tree.root), torch.tensor([0]), own, radii, 0.01, SCOPE)
    certificates = compose(tree, {tree.root: rows})
    assert answer_radius(certificates).values.tolist() == [0.5]
    assert group_radius(certificates, 1).values.tolist() == [0.5]
    assert int(certified_node(certificates, 0.5).values) == 1
    assert at_most(certificates, 1).values.tolist() == [0.3]
    assert label_set(certificates, 0.35).values.tolist() == [[True, True, False]]


def test_every_reading_names_its_kind_and_level():
    tree, nodes = abstaining()
    certificates = compose(tree, nodes)
    paths = [answer_radius(certificates), group_radius(certificates, 1), certified_node(certificates, 0.1)]
    assert [(reading.kind, reading.alpha) for reading in paths] == [("path", 0.002)] * 3
    joint = [
        label_set(certificates, 0.1),
        never_answered(certificates, 0),
        affinity_radius(certificates, [frozenset((1, 2))]),
        at_most(certificates, 1),
        information_gain(certificates, 0.1, torch.tensor([0])),
    ]
    assert [(reading.kind, reading.alpha) for reading in joint] == [("joint", 0.003)] * 5


def test_affinity_asks_that_the_set_holds_the_whole_answer():
    """The answer is the set of b and c, of which c is not allowed: {b} does not hold it."""
    tree = tree_from_groups(list("abc"), ["a", ["b", "c"]])
    root, inner = tree.decisions
    inf, zero = torch.tensor([math.inf], dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    nodes = {
        root: NodeCertificates(tree.children(root), torch.tensor([1]), inf, torch.stack([inf, zero], 1), 0.0, SCOPE),
        inner: NodeCertificates(
            tree.children(inner), torch.tensor([-1]), zero, torch.stack([zero, inf], 1), 0.0, SCOPE
        ),
    }
    certificates = compose(tree, nodes)
    assert affinity_radius(certificates, [frozenset((1,))]).values.tolist() == [0.0]
    assert affinity_radius(certificates, [frozenset((1, 2))]).values.tolist() == [math.inf]


def test_without_a_budget_the_label_set_still_holds_the_answer():
    tree, nodes = abstaining()
    assert label_set(compose(tree, nodes), 0.0).values.tolist() == [[False, True, True]]


def test_a_set_of_all_labels_is_refused():
    tree, nodes = abstaining()
    with pytest.raises(ConfigurationError, match="all labels says nothing"):
        affinity_radius(compose(tree, nodes), [frozenset((0, 1, 2))])


def test_unreached_nodes_count_nothing_even_under_an_infinite_root():
    tree = tree_from_groups(list("abc"), ["a", ["b", "c"]])
    root, inner = tree.decisions
    zeros = torch.zeros(1, 2, dtype=torch.float64)
    own = torch.tensor([math.inf], dtype=torch.float64)
    radii = torch.tensor([[0.0, math.inf]], dtype=torch.float64)
    nodes = {
        root: NodeCertificates(tree.children(root), torch.tensor([0]), own, radii, 0.0, SCOPE),
        inner: NodeCertificates(tree.children(inner), torch.tensor([UNREACHED]), zeros[:, 0], zeros, 0.0, SCOPE),
    }
    certificates = compose(tree, nodes)
    assert certificates.radii.tolist() == [[0.0, math.inf, math.inf]]
    assert answer_radius(certificates).values.tolist() == [math.inf]
    assert group_radius(certificates, 0).values.tolist() == [math.inf]
