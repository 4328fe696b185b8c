"""A composed network in a run: every verb, its keys, and what it waits for."""

import itertools

import pytest
from composite_toys import HALVES, of, system
from run_toys import rows as stored

from hiercls.values.heads import restricted, retrained
from hiercls.values.labels import grow
from hiercls.values.readings import answer_radius
from hiercls.verbs.assembly import assembled, certified
from hiercls.verbs.certify import certify
from hiercls.verbs.report import node_facts
from hiercls.verbs.run import run_all
from hiercls.verbs.status import status
from hiercls.verbs.train import train
from hiercls.whole.composite import composition
from hiercls.whole.plan import Placement, System
from hiercls.words.errors import ConfigurationError

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
