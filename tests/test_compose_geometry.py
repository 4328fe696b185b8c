"""The law of composition against the exact geometry of linear classifiers."""

import numpy as np
import pytest
from brute_force import trees
from compose_toys import rows
from hypothesis import given, settings
from hypothesis import strategies as st

from hiercls.values.certificates import NodeCertificates, Scope
from hiercls.values.compose import compose
from hiercls.values.groups import tree_from_groups
from hiercls.values.heads import UNREACHED
from hiercls.values.labels import LabelTree, Node, flat_tree
from hiercls.words.norms import L1, L2, LINF, Norm
from hiercls.words.threats import Domain

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
