"""Trees chosen by what can be certified: against the definition, every tree there is, and the certify verb."""

from itertools import combinations, islice
from math import log

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.cluster.hierarchy import linkage
from torch import nn

from hiercls.contracts.components import Task
from hiercls.contracts.context import Context
from hiercls.values.labels import flat_tree
from hiercls.values.readings import information_gain
from hiercls.verbs.assembly import assembled, certified, finished_inputs
from hiercls.verbs.certify import certify
from hiercls.verbs.train import train
from hiercls.words.errors import ConfigurationError
from hiercls.words.norms import L2
from hiercls.words.threats import EVERYWHERE, Domain, Threat
from hiercls_plugins.certified_gain.building import pooled, told_apart
from hiercls_plugins.certified_gain.components import CertifiedGain
from hiercls_plugins.certified_gain.margins import Margins, Measured
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

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def drawn(labels, count, seed, noise=0.4, budget=0.8):
    """Margins of a nearest-centre classifier under an adversary, its answers and the truth."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(labels, 3))
    truth = random.integers(labels, size=count)
    points = centres[truth] + noise * random.normal(size=(count, 3))
    logits = -((points[:, None] - centres) ** 2).sum(axis=2)
    apart = np.linalg.norm(centres[:, None] - centres, axis=2)
    return logits[:, :, None] - logits[:, None, :] > budget * apart, logits.argmax(axis=1), truth


def label_set(tree, beats, answer):
    """S by its definition: the answer, and every sibling on its path that is not excluded."""
    found, node = {answer}, tree.root
    while len(node) > 1:
        for child in tree.children(node):
            if answer not in child and not all(any(beats[i, j] for i in node - child) for j in child):
                found |= child
        node = next(child for child in tree.children(node) if answer in child)
    return found


def gains(tree, beats, answer, truth):
    sets = [label_set(tree, one, int(label)) for one, label in zip(beats, answer, strict=True)]
    count = len(tree.labels)
    return [(1 - log(len(held)) / log(count)) * (int(label) in held) for held, label in zip(sets, truth, strict=True)]


def binary_trees(node):
    """The children of all inner nodes, for every binary tree over a set of labels."""
    if len(node) == 1:
        yield {}
        return
    first, *others = sorted(node)
    for size in range(len(others)):
        for kept in combinations(others, size):
            left = frozenset((first, *kept))
            for one in binary_trees(left):
                for other in binary_trees(node - left):
                    yield {**one, **other, _mask(node): (_mask(left), _mask(node - left))}


def _mask(node):
    return sum(1 << label for label in node)


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


def linear(labels=4, seed=0):
    network = nn.Sequential(nn.Flatten(), nn.Linear(6, labels))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        network[1].weight.copy_(torch.randn(labels, 6, generator=generator))
        network[1].bias.copy_(torch.randn(labels, generator=generator))
    return network


def test_margins_of_a_linear_network_are_those_of_the_dual_norm():
    network, x = linear(), torch.rand(600, 6, generator=torch.Generator().manual_seed(1))
    found = Measured(network, EVERYWHERE).margins(x, 0.2)
    logits, weight = network(x).double(), network[1].weight.double()
    gap = (logits[:, :, None] - logits[:, None, :]) - 0.2 * (weight[:, None] - weight).abs().sum(dim=2)
    clear = (gap.abs() > 1e-5).numpy()
    assert (found.beats == (gap > 0).numpy())[clear].all()
    assert torch.equal(torch.tensor(found.answer), logits.argmax(dim=1))
    assert 0.1 < found.beats.mean() < 0.5


def test_nothing_is_beaten_where_an_output_is_not_finite():
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = linear()[1]

        def forward(self, x):
            return self.last(x)

    network = Broken()
    with torch.no_grad():
        network.last.bias[0] = torch.inf
    assert not Measured(network, EVERYWHERE).margins(torch.rand(5, 6), 0.01).beats.any()


def task(held=50, fits=30, labels=4):
    generator = torch.Generator().manual_seed(2)
    x = torch.rand(fits + held, 6, generator=generator)
    y = linear(labels)(x).argmax(dim=1)
    y[::5] = (y[::5] + 1) % labels
    parts = tuple(frozenset((k,)) for k in range(labels))
    return Task(x[:fits], y[:fits], x[fits:], y[fits:], parts, Domain())


CONTEXT = Context(threat=Threat(budgets=(0.02, 0.05)))


def build(given=None, context=CONTEXT, labels="abcd", **options):
    builder = CertifiedGain(of="flat", **options)
    assert builder.needs() == ("flat",)
    return builder.build(tuple(labels), {"flat": linear()}, given or task(), context)


def test_the_reason_tells_what_is_expected_of_the_tree_and_of_its_rivals():
    given, labels = task(held=80, labels=7), tuple("abcdefg")
    found = CertifiedGain(of="flat", budgets=(0.1, 0.02)).build(labels, {"flat": linear(7)}, given, CONTEXT)
    for budget in (0.1, 0.02):
        margins = Measured(linear(7), Domain()).margins(given.held_out_x, budget)
        told = (margins.beats, margins.answer, given.held_out_y.numpy())
        ward = of_merges(linkage(linear(7)[1].weight.detach().numpy(), "ward"), 7)
        trees = (found.tree, as_tree(ward, labels), flat_tree(labels))
        best, rival, flat = (f"{np.mean(gains(tree, *told)):.4f}" for tree in trees)
        assert budget == 0.02 or len({best, rival, flat}) == 3
        expected = f"at {budget:g}: {best} (agglomerative tree, Ward's linkage: {rival}; flat classifier: {flat})"
        assert expected in found.why
    assert found.why.startswith("expected certified information gain on 80 held-out examples, at 0.1: ")
    assert "of 13 searches end at this gain; the root splits " in found.why


def test_the_gain_at_several_budgets_is_the_mean_of_the_gains_at_each():
    first, second = drawn(6, 50, seed=0, budget=0.3), drawn(6, 50, seed=0, budget=1.2)
    truth, tree = first[2], as_tree(random_shape(6, np.random.default_rng(0)), tuple("abcdef"))
    expected = np.mean([gains(tree, *first), gains(tree, *second)])
    found = pooled([Margins(*first[:2]), Margins(*second[:2])], truth)
    assert found.gain(of_tree(tree)) == pytest.approx(expected, abs=1e-12)


def test_the_tree_is_the_best_of_all():
    given, labels = task(labels=6), tuple("abcdef")
    found = CertifiedGain(of="flat", budgets=(0.1,)).build(labels, {"flat": linear(6)}, given, CONTEXT)
    objective = pooled([Measured(linear(6), Domain()).margins(given.held_out_x, 0.1)], given.held_out_y.numpy())
    best = max(objective.gain(shape) for shape in binary_trees(frozenset(range(6))))
    assert objective.gain(of_tree(found.tree)) == pytest.approx(best, abs=1e-12)


def test_budgets_of_its_own_take_the_place_of_the_threats():
    assert "at 0.01: " in build(budgets=(0.01,)).why
    assert "at 0.05: " not in build(budgets=(0.01,)).why
    assert "at 0.01: " in build(budgets=(0.01,), context=Context(threat=Threat(norm=L2, budgets=(0.5,)))).why


def test_without_held_out_examples_it_measures_on_those_of_training_and_says_so():
    assert "on 30 training examples (none is held out, so expect less)" in build(task(held=0)).why


def test_no_more_examples_are_measured_than_asked():
    assert "on 20 held-out examples" in build(inputs=20).why


def test_a_seed_gives_one_tree():
    assert build().why == build().why
    assert build().tree.partition() == build().tree.partition()


def test_a_tree_of_a_larger_arity_certifies_no_less():
    def gain(**options):
        return float(build(budgets=(0.05,), **options).why.split("at 0.05: ")[1].split(" ")[0])

    assert gain(arity=2) <= gain(arity=3) <= gain(arity=4)


def test_a_threat_without_budgets_is_refused():
    with pytest.raises(ConfigurationError, match="certified-gain needs budgets; name them in the threat"):
        build(context=Context())


def test_budgets_of_another_norm_are_refused():
    with pytest.raises(ConfigurationError, match="measures l_inf margins, and the threat's budgets are l2"):
        build(context=Context(threat=Threat(norm=L2, budgets=(0.5,))))


def test_a_network_without_one_output_a_label_is_refused():
    with pytest.raises(ConfigurationError, match=r"network 'flat' has 4 outputs, not one a label \(3\)"):
        build(labels="abc")


def test_one_label_makes_no_tree():
    with pytest.raises(ConfigurationError, match="certified-gain needs at least two labels"):
        build(labels="a")


@pytest.mark.parametrize(
    "options", [{"arity": 1}, {"budgets": ()}, {"budgets": (0.0,)}, {"restarts": -1}, {"inputs": 0}]
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValidationError):
        CertifiedGain(of="flat", **options)


RECIPE = """
name: searched
data: {dataset: digits, held_out: 300}
threat: {norm: linf, budgets: [0.05]}
networks:
  flat:
    architecture: {mlp: {hidden: [32]}}
    trainer: {ibp: {eps: 0.05, ramp: [1, 3], schedule: {epochs: 5, batch: 32}}}
tree: {build: {certified-gain: {of: flat, restarts: 2}}}
nodes: {all: {restrict: flat}}
baseline: flat
certify: {inputs: 120}
"""


def test_label_sets_are_those_that_the_certify_verb_proves(opened):
    run = opened(RECIPE)
    train(run)
    certify(run)
    assembly = assembled(run)
    index = finished_inputs(assembly)
    x, truth = run.data.test.views["image"][index], run.data.test.truth[index]
    margins = Measured(run.networks(None).load("flat"), run.recipe.threat.domain).margins(x, 0.05)
    objective = pooled([margins], truth.numpy())
    for name, tree in (("tree", run.tree), ("flat", flat_tree(run.data.labels))):
        proved = information_gain(certified(assembly)[name], 0.05, truth).values.numpy()
        assert len(proved) == 120
        assert 0.05 < proved.mean() < 0.95
        assert objective.each(of_tree(tree)) == pytest.approx(proved, abs=1e-12)
