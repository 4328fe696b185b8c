"""Trees chosen by what can be certified: the margins measured, what is told of them, and the certify verb."""

import numpy as np
import pytest
import torch
from gain_toys import binary_trees, gains
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
from hiercls_plugins.certified_gain.building import pooled
from hiercls_plugins.certified_gain.components import CertifiedGain
from hiercls_plugins.certified_gain.margins import Measured
from hiercls_plugins.certified_gain.shapes import as_tree, of_merges, of_tree


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
