"""The law of composition against an adversary that tries everything, and against exact geometry."""

import math

import numpy as np
import pytest
import torch
from brute_force import SCOPE, World, answerable, budgets, path, trees, worlds
from hypothesis import given, settings
from hypothesis import strategies as st

from hiercls.values.certificates import (
    NodeCertificates,
    Scope,
    others,
    out_of_reach,
    uncertified,
    with_allowed,
)
from hiercls.values.compose import compose
from hiercls.values.groups import tree_from_groups
from hiercls.values.heads import ABSTAIN, UNREACHED
from hiercls.values.labels import LabelTree, Node, flat_tree
from hiercls.values.readings import answer_radius, label_set
from hiercls.words.errors import ConfigurationError, NormMismatch
from hiercls.words.norms import L1, L2, LINF, Norm
from hiercls.words.threats import Domain


def rows(tree: LabelTree, node: Node, chosen, radii, alpha: float = 0.0, scope: Scope = SCOPE) -> NodeCertificates:
    chosen, radii = torch.tensor(chosen), torch.tensor(radii, dtype=torch.float64)
    return NodeCertificates(tree.children(node), chosen, others(radii, chosen), radii, alpha, scope)


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


# Trees of linear classifiers: child c of a node has score w_c x + b_c, so the distance to the point where c
# draws level with the chosen child is (y_k - y_c) / ||w_k - w_c||_dual.


class LinearTree:
    """A random linear classifier at every node, and its exact pairwise radii."""

    def __init__(self, tree: LabelTree, entries: int, seed: int):
        generator = np.random.default_rng(seed)
        self.tree = tree
        self.weights = {n: generator.normal(size=(len(tree.children(n)), entries)) for n in tree.decisions}
        self.offsets = {n: 0.3 * generator.normal(size=len(tree.children(n))) for n in tree.decisions}

    def scores(self, node: Node, points: np.ndarray) -> np.ndarray:
        return points @ self.weights[node].T + self.offsets[node]

    def answers(self, points: np.ndarray) -> np.ndarray:
        found = np.full(len(points), -1)
        waiting = [(self.tree.root, np.arange(len(points)))]
        while waiting:
            node, members = waiting.pop()
            if len(node) == 1:
                found[members] = min(node)
            elif len(members):
                best = self.scores(node, points[members]).argmax(axis=1)
                waiting += [(child, members[best == k]) for k, child in enumerate(self.tree.children(node))]
        return found

    def certificates(self, points: np.ndarray, norm: Norm) -> dict[Node, NodeCertificates]:
        reached = {self.tree.root: np.ones(len(points), dtype=bool)}
        nodes = {}
        for node in self.tree.decisions:
            here = reached[node]
            scores = self.scores(node, points)
            chosen = np.where(here, scores.argmax(axis=1), UNREACHED)
            radii = np.zeros_like(scores)
            for row in here.nonzero()[0]:
                for c in range(scores.shape[1]):
                    if c != chosen[row]:
                        slope = np.linalg.norm(self.weights[node][chosen[row]] - self.weights[node][c], norm.dual.p)
                        radii[row, c] = (scores[row, chosen[row]] - scores[row, c]) / slope * (1 - 1e-12)
            scope = Scope(norm, "image", Domain("all"))
            nodes[node] = rows(self.tree, node, chosen.tolist(), radii.tolist(), scope=scope)
            reached |= {child: chosen == k for k, child in enumerate(self.tree.children(node))}
        return nodes


def ball(generator: np.random.Generator, count: int, entries: int, norm: Norm) -> np.ndarray:
    """Points of the closed unit ball, half of them on its sphere and some at its corners."""
    directions = generator.normal(size=(count, entries))
    directions[: count // 4] = np.sign(directions[: count // 4])
    sparse = generator.random((count // 4, entries)) < 1.5 / entries
    directions[count // 4 : count // 2] *= sparse
    lengths = np.linalg.norm(directions, norm.p, axis=1)
    scale = generator.random(count) ** (1 / entries)
    scale[::2] = 1.0
    return directions / np.maximum(lengths, 1e-300)[:, None] * scale[:, None]


@pytest.mark.parametrize("norm", [LINF, L2, L1, Norm(3.0)], ids=str)
@pytest.mark.parametrize(("entries", "draws"), [(2, 4000), (6, 20000)])
@settings(max_examples=4, deadline=None)
@given(tree=trees(least=4, most=7), seed=st.integers(0, 2**31))
def test_no_point_of_the_ball_answers_an_excluded_label(
    norm: Norm, entries: int, draws: int, tree: LabelTree, seed: int
):
    model = LinearTree(tree, entries, seed)
    generator = np.random.default_rng(seed + 1)
    points = generator.normal(size=(3, entries))
    radii = compose(tree, model.certificates(points, norm)).radii.numpy()
    unit = ball(generator, draws, entries, norm)
    for point, row in zip(points, radii, strict=True):
        for budget in sorted(set(row[row > 0])):
            answered = np.unique(model.answers(point + budget * unit))
            assert not np.isin(answered, (row >= budget).nonzero()[0]).any()


@pytest.mark.parametrize("norm", [LINF, L2, L1, Norm(3.0)], ids=str)
def test_a_label_one_edge_away_is_answered_just_beyond_its_radius(norm: Norm):
    """For one linear decision between two children, R is the distance itself: its worst point is known."""
    tree = flat_tree(["a", "b"])
    for seed in range(20):
        model = LinearTree(tree, 5, seed)
        point = np.random.default_rng(seed).normal(size=(1, 5))
        certificates = compose(tree, model.certificates(point, norm))
        answer = int(certificates.answer[0]) - 1
        radius = float(certificates.radii[0, 1 - answer])
        slope = model.weights[tree.root][1 - answer] - model.weights[tree.root][answer]
        worst = steepest(slope, norm)
        assert model.answers(point + radius * 1.0001 * worst)[0] == 1 - answer
        assert model.answers(point + radius * 0.9999 * worst)[0] == answer


def steepest(slope: np.ndarray, norm: Norm) -> np.ndarray:
    """The unit direction in which a linear function grows fastest."""
    if norm == LINF:
        return np.sign(slope)
    if norm == L1:
        return np.sign(slope) * (np.abs(slope) == np.abs(slope).max())
    raised = np.sign(slope) * np.abs(slope) ** (norm.dual.p - 1)
    return raised / np.linalg.norm(raised, norm.p)


def test_on_a_chain_of_two_edges_the_distance_is_found_by_dense_sampling():
    """Root at x = 0.3, inner node at y = 0.4: label c needs both edges, b and c share the first one."""
    tree = tree_from_groups(list("abc"), ["a", ["b", "c"]])
    _, inner = tree.children(tree.root)
    nodes = {
        tree.root: rows(tree, tree.root, [0], [[0.0, 0.3]]),
        inner: rows(tree, inner, [UNREACHED], [[0.0, 0.0]]),
    }
    radii = compose(tree, nodes).radii[0].tolist()
    angles = np.linspace(0, 2 * np.pi, 20001)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)

    def answers(points: np.ndarray) -> set[int]:
        return set(np.where(points[:, 0] <= 0.3, 0, np.where(points[:, 1] <= 0.4, 1, 2)).tolist())

    assert radii == [0.0, 0.3, 0.3]
    assert answers(0.3 * circle) == {0}
    assert answers(0.3001 * circle) == {0, 1}
    assert answers(0.5001 * circle) == {0, 1, 2}  # the true distance of c is 0.5; R is a lower bound
