"""The law of composition against an adversary that tries everything, and what cannot be composed."""

import math

import pytest
import torch
from brute_force import SCOPE, World, answerable, budgets, path, worlds
from compose_toys import rows
from hypothesis import given, settings

from hiercls.values.certificates import NodeCertificates, Scope, out_of_reach, uncertified, with_allowed
from hiercls.values.compose import compose
from hiercls.values.groups import tree_from_groups
from hiercls.values.heads import ABSTAIN, UNREACHED
from hiercls.values.labels import LabelTree, flat_tree
from hiercls.values.readings import answer_radius, label_set
from hiercls.words.errors import ConfigurationError, NormMismatch
from hiercls.words.norms import L2, LINF
from hiercls.words.threats import Domain


@pytest.fixture
def pets() -> LabelTree:
    return tree_from_groups(
        ["cat", "dog", "car", "ship", "truck"], {"pets": ["cat", "dog"], "rest": ["car", "ship", "truck"]}
    )


@settings(max_examples=120, deadline=None)
@given(worlds())
def test_a_label_is_answerable_exactly_beyond_its_radius(world: World):
    radii = compose(world.tree, world.nodes).radii
    for example in range(world.count):
        for budget in budgets(world):
            expected = answerable(world, example, budget)
            found = {k for k, radius in enumerate(radii[example].tolist()) if radius == 0 or radius < budget}
            assert found == expected


@settings(max_examples=60, deadline=None)
@given(worlds(masked=True, random=True))
def test_labels_that_are_not_allowed_are_never_answered(world: World):
    radii = compose(world.tree, world.nodes).radii
    assert bool((radii[~world.allowed] == torch.inf).all())
    for example in range(world.count):
        for budget in budgets(world):
            found = {k for k, radius in enumerate(radii[example].tolist()) if radius == 0 or radius < budget}
            assert found == answerable(world, example, budget)


@settings(max_examples=60, deadline=None)
@given(worlds(random=True))
def test_the_answer_is_the_last_node_of_the_walk(world: World):
    certificates = compose(world.tree, world.nodes)
    order = tuple(world.tree)
    for example in range(world.count):
        last = path(world, example)[-1][0]
        assert order[certificates.answer[example]] == last
        assert set(certificates.members()[example].nonzero().flatten().tolist()) == set(last)
        expected = min(last) if len(last) == 1 else ABSTAIN
        assert int(certificates.answered_label()[example]) == expected


@settings(max_examples=60, deadline=None)
@given(worlds(random=True))
def test_a_path_holds_at_its_largest_level_and_joint_readings_at_the_sum(world: World):
    certificates = compose(world.tree, world.nodes)
    for example in range(world.count):
        spent = [r.alpha for r in world.nodes.values() if int(r.chosen[example]) != UNREACHED]
        assert float(certificates.path_alpha[example]) == max(spent, default=0.0)
        assert float(certificates.joint_alpha[example]) == pytest.approx(sum(spent), abs=1e-15)


def test_levels_of_a_path_of_three_random_nodes():
    tree = tree_from_groups(list("abcd"), ["a", ["b", ["c", "d"]]])
    alphas = dict(zip(tree.decisions, (0.001, 0.0, 0.01), strict=True))
    chosen = dict(zip(tree.decisions, ([1, 0], [1, UNREACHED], [0, UNREACHED]), strict=True))
    nodes = {
        node: NodeCertificates(
            tree.children(node),
            torch.tensor(chosen[node]),
            torch.zeros(2, dtype=torch.float64),
            torch.zeros(2, 2, dtype=torch.float64),
            alphas[node],
            SCOPE,
        )
        for node in tree.decisions
    }
    certificates = compose(tree, nodes)
    assert certificates.path_alpha.tolist() == [0.01, 0.001]
    assert certificates.joint_alpha.tolist() == [0.011, 0.001]


def test_an_abstaining_node_below_a_certified_one_keeps_the_guarantee_of_the_group(pets: LabelTree):
    animal, rest = pets.children(pets.root)
    nodes = {
        pets.root: rows(pets, pets.root, [0], [[0.0, 0.5]]),
        animal: rows(pets, animal, [ABSTAIN], [[0.0, 0.0]]),
        rest: rows(pets, rest, [UNREACHED], [[0.0, 0.0, 0.0]]),
    }
    certificates = compose(pets, nodes)
    assert certificates.radii.tolist() == [[0.0, 0.0, 0.5, 0.5, 0.5]]
    assert certificates.answered_label().tolist() == [ABSTAIN]
    assert label_set(certificates, 0.5).values.tolist() == [[True, True, False, False, False]]


def test_the_larger_of_two_edges_excludes_a_label():
    tree = tree_from_groups(list("abc"), ["a", ["b", "c"]])
    _, inner = tree.children(tree.root)
    nodes = {
        tree.root: rows(tree, tree.root, [1], [[0.25, 0.0]]),
        inner: rows(tree, inner, [0], [[0.0, 0.75]]),
    }
    assert compose(tree, nodes).radii.tolist() == [[0.25, 0.0, 0.75]]


def test_rows_that_no_walk_gives_are_refused(pets: LabelTree):
    animal, rest = pets.children(pets.root)
    root = rows(pets, pets.root, [0, 1], [[0.0, 0.5], [0.5, 0.0]])
    both = rows(pets, animal, [0, 1], [[0.0, 0.5], [0.5, 0.0]])
    with pytest.raises(ValueError, match="rows of pets are not of the inputs that come to it"):
        compose(pets, {pets.root: root, animal: both})
    with pytest.raises(ValueError, match="rows of pets are not of the inputs that come to it"):
        compose(pets, {animal: both})
    with pytest.raises(ValueError, match="rows of root are not of the inputs"):
        compose(pets, {pets.root: rows(pets, pets.root, [UNREACHED], [[0.0, 0.0]])})
    with pytest.raises(ValueError, match="rows of pets are not of the inputs"):
        compose(pets, {pets.root: root, animal: rows(pets, animal, [0], [[0.0, 0.5]])})
    with pytest.raises(ValueError, match="not about its children"):
        compose(flat_tree(pets.labels), {pets.root: root})
    with pytest.raises(ValueError, match="and of nothing else"):
        compose(pets, {pets.root: root, frozenset((0, 3)): both})
    with pytest.raises(ValueError, match="one or more decisions"):
        compose(pets, {})
    assert len(rest) == 3


def test_nodes_in_different_norms_or_views_are_refused(pets: LabelTree):
    animal, _ = pets.children(pets.root)
    root = rows(pets, pets.root, [0], [[0.0, 0.5]])
    other = rows(pets, animal, [0], [[0.0, 0.5]], scope=Scope(LINF, "image", Domain()))
    with pytest.raises(NormMismatch, match="l2 on image, linf on image; convert"):
        compose(pets, {pets.root: root, animal: other})
    foreign = rows(pets, animal, [0], [[0.0, 0.5]], scope=Scope(L2, "lidar", Domain()))
    with pytest.raises(NormMismatch, match="l2 on image, l2 on lidar"):
        compose(pets, {pets.root: root, animal: foreign})


def test_nodes_of_mixed_norms_compose_after_conversion(pets: LabelTree):
    animal, _ = pets.children(pets.root)
    entries = 16
    root = rows(pets, pets.root, [0], [[0.0, 0.5]], scope=Scope(L2, "image", Domain()))
    linf = rows(pets, animal, [0], [[0.0, 0.25]], scope=Scope(LINF, "image", Domain()))
    nodes = {pets.root: root.in_norm(LINF, entries), animal: linf.in_norm(LINF, entries)}
    composed = compose(pets, nodes)
    assert composed.scope == Scope(LINF, "image", Domain(), None)
    first, second = composed.radii[0, 2], composed.radii[0, 1]
    assert 0.125 * (1 - 1e-13) < float(first) < 0.125
    assert float(second) == 0.25


def test_a_composition_holds_on_the_intersection_of_the_domains(pets: LabelTree):
    animal, rest = pets.children(pets.root)
    grid = Domain("grid", 0.0, 1.0, 255)
    for domains, expected in [
        ((Domain("all"), Domain("box", 0, 1)), Domain("box", 0, 1)),
        ((Domain("box", 0, 1), Domain("box", 0.25, 2)), Domain("box", 0.25, 1)),
        ((Domain("box", -1, 2), grid), grid),
        ((Domain("all"), Domain("all")), Domain("all")),
    ]:
        nodes = {
            pets.root: rows(pets, pets.root, [0], [[0.0, 0.5]], scope=Scope(L2, "image", domains[0])),
            animal: rows(pets, animal, [0], [[0.0, 0.5]], scope=Scope(L2, "image", domains[1])),
        }
        assert compose(pets, nodes).scope.domain == expected
    nodes[animal] = rows(pets, animal, [0], [[0.0, 0.5]], scope=Scope(L2, "image", grid))
    nodes[pets.root] = rows(pets, pets.root, [0], [[0.0, 0.5]], scope=Scope(L2, "image", Domain("box", 0.2, 0.9)))
    with pytest.raises(ConfigurationError, match="have no common domain"):
        compose(pets, nodes)


def test_a_hierarchy_of_two_views_stands_on_the_view_that_the_adversary_cannot_touch(pets: LabelTree):
    """Root on lidar, out of reach; leaves on the image; a trusted location forbids the truck."""
    animal, rest = pets.children(pets.root)
    scope = Scope(LINF, "image", Domain())
    chosen = torch.tensor([0, 1, 1])
    root = out_of_reach(pets.children(pets.root), chosen, torch.tensor([True, True, False]), 0.001, scope)
    pet = rows(pets, animal, [1, UNREACHED, UNREACHED], [[0.125, 0.0], [0, 0], [0, 0]], scope=scope)
    other = rows(pets, rest, [UNREACHED, 0, 1], [[0, 0, 0], [0, 0.25, 0.5], [0.5, 0, 0.125]], scope=scope)
    allowed = torch.tensor([[True] * 4 + [False]] * 3)
    nodes = {}
    for node, found in ((pets.root, root), (animal, pet), (rest, other)):
        mask = torch.stack([allowed[:, sorted(child)].any(dim=1) for child in pets.children(node)], dim=1)
        nodes[node] = with_allowed(found, mask, in_reach=False)
    certificates = compose(pets, nodes)
    inf = math.inf
    assert certificates.radii.tolist() == [
        [0.125, 0.0, inf, inf, inf],
        [inf, inf, 0.0, 0.25, inf],
        [0.0, 0.0, 0.5, 0.0, inf],
    ]
    assert answer_radius(certificates).values.tolist() == [0.125, 0.25, 0.0]
    exposed = {
        node: with_allowed(found, torch.ones(3, len(pets.children(node)), dtype=torch.bool), in_reach=True)
        for node, found in nodes.items()
    }
    assert not bool(compose(pets, exposed).radii.any())


def test_a_node_that_nothing_certifies_makes_no_claim(pets: LabelTree):
    animal, _ = pets.children(pets.root)
    nodes = {
        pets.root: rows(pets, pets.root, [0], [[0.0, 0.5]]),
        animal: uncertified(pets.children(animal), torch.tensor([1]), SCOPE),
    }
    certificates = compose(pets, nodes)
    assert certificates.radii.tolist() == [[0.0, 0.0, 0.5, 0.5, 0.5]]
    assert certificates.answered_label().tolist() == [1]
    assert answer_radius(certificates).values.tolist() == [0.0]
