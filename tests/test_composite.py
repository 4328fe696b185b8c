"""A whole hierarchy as one base classifier: the walk, its scores, its certificates, its keys."""

import itertools
import json
from math import inf, isfinite, nan

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import nn

from hiercls.contracts.context import Context
from hiercls.contracts.provers import Claim
from hiercls.values.heads import restricted, retrained
from hiercls.values.labels import flat_tree, grow
from hiercls.values.readings import answer_radius
from hiercls.values.views import Inputs
from hiercls.verbs.assembly import assembled, certified
from hiercls.verbs.certify import certify
from hiercls.verbs.report import node_facts
from hiercls.verbs.run import run_all
from hiercls.verbs.status import status
from hiercls.verbs.train import train
from hiercls.whole.composite import Composite, composition
from hiercls.whole.plan import Placement, System
from hiercls.whole.proofs import timeless
from hiercls.words.errors import ConfigurationError, HierclsError
from hiercls.words.norms import L2
from hiercls.words.threats import EVERYWHERE, Threat
from hiercls_plugins.crown_ibp.certifier import CrownIbpCertifier
from hiercls_plugins.exact_linear.certifier import ExactLinear
from hiercls_plugins.ibp.certifier import IbpCertifier
from hiercls_plugins.smoothing.certifier import Smoothing

LABELS = 6


def of(*labels):
    return frozenset(labels)


# {{0, 3}, 1} against {2, {4, 5}}: groups that interleave, leaves at unequal depth.
LEFT, RIGHT, PAIR, LAST = of(0, 1, 3), of(2, 4, 5), of(0, 3), of(4, 5)
TREE = grow(
    tuple("abcdef"),
    {
        of(*range(LABELS)): [LEFT, RIGHT],
        LEFT: [PAIR, of(1)],
        PAIR: [of(0), of(3)],
        RIGHT: [of(2), LAST],
        LAST: [of(4), of(5)],
    },
)


def system(tree, own=()):
    """A tree whose nodes in `own` have networks of their own; all others are restricted from one flat network."""
    nodes = {}
    for node in tree.decisions:
        children = tree.children(node)
        job, head = (tree.name(node), retrained(children)) if node in own else ("flat", restricted(children))
        nodes[node] = Placement(job, head, None, "image")
    return System("tree", tree, nodes)


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


# smoothing


def smoothed(network, head, **options):
    settings = {"sigma": 0.5, "draws": 2000, "tile": 500} | options
    return Smoothing(**settings).deploy(network.eval(), (head,), "image", Context(threat=Threat(L2, domain=EVERYWHERE)))


def row(prover, x, chosen):
    head = prover.heads[0]
    claim = Claim(Inputs(torch.tensor([3]), {"image": x}), {head: chosen})
    return next(iter(prover.prove([claim]))).rows[head]


def convolutions(outputs, seed=0):
    """A small network with a batch norm that smoothing folds."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, outputs))
    network[1].running_mean.normal_()
    network[1].running_var.uniform_(0.5, 2)
    return network


def test_a_tree_that_is_restricted_from_one_network_counts_exactly_what_the_network_counts():
    """The best group holds the best label, and the best label is the best of its group."""
    flat = restricted(flat_tree(TREE.labels).children(TREE.root))
    network = convolutions(LABELS)
    composite = smoothed(Composite(system(TREE), {"flat": network}), flat)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in composite.votes.passes.network.modules())
    x = torch.rand(1, 1, 6, 6, generator=torch.Generator().manual_seed(5))
    seen = set()
    for chosen in range(LABELS):
        alone, found = row(smoothed(network, flat), x, chosen), row(composite, x, chosen)
        assert (found.own, found.radii, found.evidence) == (alone.own, alone.radii, alone.evidence)
        seen.add(found.own > 0)
    assert seen == {True, False}


HALVES = grow(
    ("in", "edge", "far", "farther"),
    {of(0, 1, 2, 3): [of(0, 1), of(2, 3)], of(0, 1): [of(0), of(1)], of(2, 3): [of(2), of(3)]},
)


def half_spaces(slope, place):
    """Two outputs: the first is larger where slope . x <= place."""
    linear = nn.Linear(2, 2)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[-s for s in slope], slope]))
        linear.bias.copy_(torch.tensor([place, -place]))
    return linear


@pytest.mark.parametrize(
    ("turn", "root", "leaf", "exact"),
    [
        ((0.0, 1.0), 0.4, 0.6, lambda a, b: a * b),
        ((1.0, 0.0), 0.4, 0.7, lambda a, b: min(a, b)),
        ((-1.0, 0.0), 0.6, 0.5, lambda a, b: a + b - 1),
    ],
    ids=["across", "nested", "against"],
)
def test_the_composite_is_certified_at_most_as_far_as_the_weakest_node_of_the_path(turn, root, leaf, exact):
    """The walk ends at a label only if every node on the path decides for it: P(walk) <= min P(node).

    Half spaces x_1 <= root at the root, and turn . x <= leaf below: of a Gaussian around 0 both hold with a known
    probability. Cohen's radius sigma Phi^-1(p) rises with p, so that of the walk is at most the least of the path.
    """
    sigma, draws = 0.5, 40_000
    nodes = [norm.cdf(root / sigma), norm.cdf(leaf / sigma)]
    truth = exact(*nodes)
    networks = {
        "root": half_spaces((1.0, 0.0), root),
        "[in, edge]": half_spaces(turn, leaf),
        "[far, farther]": half_spaces((1.0, 1.0), 0.0),
    }
    head = restricted(flat_tree(HALVES.labels).children(HALVES.root))
    prover = smoothed(Composite(system(HALVES, HALVES.decisions), networks), head, sigma=sigma, draws=draws)
    found = row(prover, torch.zeros(1, 2), 0)
    counted = found.evidence["counts"][0]
    assert abs(counted - draws * truth) < 5 * (draws * truth * (1 - truth)) ** 0.5
    ideal, path = sigma * norm.ppf(truth), min(sigma * norm.ppf(p) for p in nodes)
    assert 0 < found.own <= ideal <= path + 1e-12
    assert found.own > 0.85 * ideal
    assert path == pytest.approx(min(root, leaf))


def test_a_draw_with_a_number_that_is_not_finite_counts_for_no_label():
    class Broken(nn.Module):
        def forward(self, x):
            return torch.stack([x[:, 0] * 0 + 1, torch.where(x[:, 0] > 0, torch.nan, 0.0)], dim=1)

    tree = flat_tree(("a", "b"))
    head = restricted(tree.children(tree.root))
    found = row(smoothed(Composite(system(tree, (tree.root,)), {"root": Broken()}), head), torch.zeros(1, 2), 0)
    assert found.own == 0
    assert 800 < found.evidence["counts"][0] < 1200
    assert found.evidence["counts"][1] == 0


@pytest.mark.parametrize(
    "certifier", [IbpCertifier(), CrownIbpCertifier(), ExactLinear()], ids=["ibp", "crown-ibp", "exact-linear"]
)
def test_bounds_refuse_the_walk_and_name_the_operation(certifier):
    head = restricted(flat_tree(TREE.labels).children(TREE.root))
    composite = Composite(system(TREE), {"flat": nn.Sequential(nn.Flatten(), nn.Linear(4, LABELS))}).eval()
    assert not certifier.any_function
    with pytest.raises(HierclsError, match="no rule for .*; it cannot be bounded"):
        certifier.deploy(composite, (head,), "image", Context())


# runs

DIGITS = """
name: composite
data: {dataset: digits}
threat: {norm: l2, budgets: [0.25]}
networks:
  flat:
    architecture: {mlp: {hidden: [24]}}
    trainer: {gaussian: {sigma: 0.25, schedule: {epochs: 4}}}
    certifier: {smoothing: {COUNTS}}
  whole: {compose: tree, certifier: {smoothing: {sigma: 0.25, COUNTS}}}
tree: {groups: {low: ["0", "1", "2", "3", "4"], high: ["5", "6", "7", "8", "9"]}}
nodes:
  all: {restrict: flat}
  root:
    architecture: {mlp: {hidden: [16]}}
    trainer: {gaussian: {sigma: 0.25, schedule: {epochs: 5}}}
    certifier: {smoothing: {COUNTS}}
baseline: [flat, whole]
certify: {inputs: 15}
audit: {inputs: 3, attack: {pgd: {steps: 2, restarts: 1, draws: 2}}}
""".replace("COUNTS", "draws: 500, select: 50, audit: 50, predict: 50, tile: 50")


def stored(run, kind):
    parts = sorted((run.folder / kind).glob("*/part-*.jsonl"))
    return {
        (part.parent.name, row["index"]): timeless(row)
        for part in parts
        for row in map(json.loads, part.read_text().splitlines())
    }


def test_a_composed_network_runs_through_every_verb_beside_its_tree(opened):
    run = opened(DIGITS)
    found, page = run_all(run)
    assert [each.name for each in found.systems] == ["tree", "flat", "whole"]
    assert page.exists()
    assert sorted(row["name"] for row in status(run) if row["kind"] == "network") == ["flat", "node root"]
    assert len(list((run.folder / "networks").iterdir())) == 2
    assembly = assembled(run)
    tree, _, whole = (certified(assembly)[name] for name in ("tree", "flat", "whole"))
    agree = (tree.answered_label() == whole.answered_label()) & (tree.answered_label() >= 0)
    assert int(agree.sum()) > 5
    assert float(answer_radius(whole).values[agree].max()) > 0
    assert bool((answer_radius(whole).values[agree] <= answer_radius(tree).values[agree]).all()), "the same draws"
    assert float(whole.joint_alpha.max()) == 0.001
    (fact,) = node_facts(assembly, assembly.classifiers[2], {})
    assert fact.decides == "the network whole: the walk down the tree, by node root, flat"
    assert fact.parameters == (64 * 16 + 16 + 16 * 2 + 2) + (64 * 24 + 24 + 24 * 10 + 10)


def test_a_composed_run_resumes_to_the_same_rows(opened):
    at_once, resumed = opened(DIGITS, root="once"), opened(DIGITS, root="resumed")
    train(at_once)
    train(resumed)
    certify(at_once)
    certify(resumed, inputs=4)
    part = max((resumed.folder / "proofs").glob("*/part-*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    part.write_text(part.read_text()[:-40])
    assert certify(opened(DIGITS, root="resumed"), batch=2) == {"inputs": 15, "finished": 15}
    for kind in ("paths", "proofs"):
        rows = stored(at_once, kind)
        assert len(rows) >= 30
        assert stored(resumed, kind) == rows


def proof_identity(run):
    return assembled(run).classifiers[2].nodes[run.tree.root].identity()


def test_the_key_of_a_composed_network_changes_with_each_of_its_parts_and_with_the_tree(opened):
    run = opened(DIGITS)
    train(run)
    kept = proof_identity(run)
    assert proof_identity(opened(DIGITS.replace("whole", "other").replace("low:", "down:"))) == kept, (
        "names are in none"
    )
    changes = {
        "weights": DIGITS.replace("epochs: 5", "epochs: 1"),
        "architecture": DIGITS.replace('["0", "1", "2", "3", "4"]', '["0", "1", ["2", "3", "4"]]'),
    }
    for key, text in changes.items():
        changed = opened(text)
        train(changed)
        found = proof_identity(changed)
        assert [name for name in kept if found[name] != kept[name]] == [key]


def test_which_network_decides_where_and_by_which_outputs_is_in_the_key():
    def told(nodes):
        whole = System("tree", HALVES, dict(zip(HALVES.decisions, nodes, strict=True)))
        return composition(whole, dict.fromkeys(whole.networks, "the same"))

    heads = [restricted(HALVES.children(node)) for node in HALVES.decisions]
    one, two = ([Placement(job, head, None, "image") for head in heads] for job in ("one", "two"))
    own = Placement("one", retrained(heads[2].children), None, "image")
    assert told(one) == told(two)
    keys = [told(nodes) for nodes in (one, [*one[:2], two[2]], [one[0], two[1], one[2]], [*one[:2], own])]
    assert all(first != second for first, second in itertools.combinations(keys, 2))
    other = grow(
        HALVES.labels, {of(0, 1, 2, 3): [of(0, 2), of(1, 3)], of(0, 2): [of(0), of(2)], of(1, 3): [of(1), of(3)]}
    )
    trees = [system(tree, tree.decisions) for tree in (HALVES, other)]
    left, right = (composition(whole, dict.fromkeys(whole.networks, "the same")) for whole in trees)
    assert left != right, "the same heads lead to other labels"


def test_a_composed_network_is_trained_when_its_parts_are_and_has_nothing_to_train(opened):
    run = opened(DIGITS)
    with pytest.raises(ConfigurationError, match=r"^train: 'whole' is composed of the tree's networks and has nothing"):
        train(run, only="whole")
    train(run, only="flat")
    assert not run.networks(run.tree).trained("whole")
    with pytest.raises(ConfigurationError, match="network 'node root' is not trained yet"):
        run.networks(run.tree).weights_sha("whole")
    train(run, only="node root")
    assert run.networks(run.tree).trained("whole")


def test_a_derived_tree_is_composed_once_it_exists(opened):
    text = DIGITS.replace(
        '{groups: {low: ["0", "1", "2", "3", "4"], high: ["5", "6", "7", "8", "9"]}}',
        "{build: {agglomerative: {of: flat}}}",
    )
    run = opened(text)
    assert run.plan().composed == {}
    train(run)
    whole = run.plan().composed["whole"]
    assert whole.tree.partition() == run.tree.partition()
    certify(run, inputs=2)
    assert len(certified(assembled(run, inputs=2))["whole"].answered_label()) == 2
