"""A whole hierarchy as one base classifier: its answer is the walk, its scores are those of paths."""

import itertools
from math import inf, isfinite, nan

import numpy as np
import pytest
import torch
from composite_toys import LABELS, LAST, LEFT, PAIR, TREE, of, system
from torch import nn

from hiercls.whole.composite import Composite


class Table(nn.Module):
    """Row k of the table at x = k; remembers how many inputs it was shown, pass by pass."""

    def __init__(self, rows):
        super().__init__()
        self.register_buffer("rows", torch.as_tensor(rows, dtype=torch.float32))
        self.shown = []

    def forward(self, x):
        self.shown.append(len(x))
        return self.rows[x[:, 0].long()]


def walked(tree, nodes, logits):
    """The label that a loop finds from one row of logits a network; None where an output on its way is not finite."""
    node = tree.root
    while len(node) > 1:
        placement = nodes[node]
        row = [float(value) for value in logits[placement.job]]
        means = {output: child for child, group in enumerate(placement.head.outputs) for output in group}
        if not all(isfinite(row[output]) for output in means):
            return None
        best = max(sorted(means), key=lambda output: row[output])
        node = placement.head.children[means[best]]
    return min(node)


def tables(whole, rows, values, seed=0):
    """Random logits of every network, drawn from a few values so that there are ties."""
    generator = np.random.default_rng(seed)
    width = {
        placement.job: LABELS if placement.job == "flat" else len(placement.head.children)
        for placement in whole.nodes.values()
    }
    return {name: generator.choice(values, (rows, width[name])).astype(np.float32) for name in whole.networks}


EVERY = [(), (TREE.root,), (LEFT, LAST), TREE.decisions]


@pytest.mark.parametrize("own", EVERY)
@pytest.mark.parametrize(
    "values",
    [[0, 1, 2], [-1.0, 0.5, nan, inf, -inf, 3, 3, 3, 3, 3], [-3e38, 0, 1e30, 3e38], [-2e4, 0, 2e4, 2e4 + 1]],
    ids=["ties", "not finite", "huge", "far"],
)
def test_the_argmax_is_the_walk_and_a_draw_that_is_not_finite_on_its_way_is_lost(own, values):
    whole = system(TREE, own)
    logits = tables(whole, 3000, values)
    scores = Composite(whole, {name: Table(rows) for name, rows in logits.items()})(torch.arange(3000.0)[:, None])
    expected = [walked(TREE, whole.nodes, {name: rows[k] for name, rows in logits.items()}) for k in range(3000)]
    lost = torch.tensor([label is None for label in expected])
    assert scores.shape == (3000, LABELS)
    assert bool(scores[lost].isnan().all())
    assert bool(scores[~lost].isfinite().all())
    assert scores[~lost].argmax(dim=1).tolist() == [label for label in expected if label is not None]
    first, second = scores[~lost].topk(2, dim=1).values.T
    assert bool((first > second).all()), "a tie between labels would hang on their order"
    if nan in values and own:
        stray = torch.tensor([any(not np.isfinite(rows[k]).all() for rows in logits.values()) for k in range(3000)])
        assert bool((stray & ~lost).any()), "what no walk comes to loses no draw"


def test_every_network_runs_once_for_all_its_nodes():
    whole = system(TREE, (TREE.root,))
    networks = {name: Table(rows) for name, rows in tables(whole, 7, [0, 1, 2]).items()}
    Composite(whole, networks)(torch.arange(7.0)[:, None])
    assert {name: network.shown for name, network in networks.items()} == {"root": [7], "flat": [7]}


def path_odds(whole, logits):
    """For each label the sum over its path of the log of a softmax, by loops in float64."""
    odds = []
    for label in range(LABELS):
        total = 0.0
        for node, child in itertools.pairwise(whole.tree.path(of(label))):
            head, row = whole.nodes[node].head, logits[whole.nodes[node].job].astype(np.float64)
            shares = [sum(np.exp(row[list(group)])) for group in head.outputs]
            total += np.log(shares[head.children.index(child)] / sum(shares))
        odds.append(total)
    return np.array(odds)


def test_scores_are_the_log_probabilities_of_paths_but_for_a_walk_that_is_not_the_likeliest():
    whole = system(TREE, (LEFT,))
    generator = np.random.default_rng(1)
    logits = {"flat": generator.normal(size=(500, 6)), TREE.name(LEFT): generator.normal(size=(500, 2))}
    scores = Composite(whole, {name: Table(rows) for name, rows in logits.items()})(torch.arange(500.0)[:, None])
    lifted = 0
    for k in range(500):
        one = {name: rows[k].astype(np.float32) for name, rows in logits.items()}
        odds, label = path_odds(whole, one), walked(TREE, whole.nodes, one)
        others = np.arange(LABELS) != label
        np.testing.assert_allclose(scores[k].numpy()[others], odds[others], atol=1e-5)
        assert float(scores[k, label]) == pytest.approx(max(odds[label], odds[others].max() + 0.01), abs=1e-5)
        lifted += odds[label] < odds[others].max() + 0.01
    assert 10 < lifted < 250


def test_an_attack_climbs_the_log_probabilities_also_where_the_walk_is_lifted():
    """At x = 1 the root leads to four equal labels on the left, and each is less likely than the one on the right."""
    whole = system(TREE, (LEFT, PAIR))
    weights = {"flat": [1.0, 0.9, 0.95, 0.9, -3.0, -4.0], TREE.name(LEFT): [0.1, 0.0], TREE.name(PAIR): [0.3, 0.2]}

    class Line(nn.Module):
        def __init__(self, weight):
            super().__init__()
            self.weight = torch.tensor(weight)

        def forward(self, x):
            return x[:, :1] * self.weight

    def odds(z, label):
        return path_odds(whole, {name: z * np.array(weight) for name, weight in weights.items()})[label]

    composite = Composite(whole, {name: Line(weight) for name, weight in weights.items()})
    x = torch.tensor([[1.0], [-0.7]], requires_grad=True)
    assert int(composite(x)[0].argmax()) == 0
    assert odds(1.0, 0) < odds(1.0, 2) - 0.1
    for label in range(LABELS):
        (slope,) = torch.autograd.grad(composite(x)[:, label].sum(), x)
        for k, z in enumerate((1.0, -0.7)):
            expected = (odds(z + 1e-5, label) - odds(z - 1e-5, label)) / 2e-5
            assert float(slope[k, 0]) == pytest.approx(expected, abs=1e-5)
