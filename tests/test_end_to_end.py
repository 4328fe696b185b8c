"""From a YAML text to certificates, on digits that ship with scikit-learn."""

import hashlib
import json

import pytest
import torch
from run_toys import MIXED, SMOOTHED, rows
from safetensors.torch import load_file, save_file

from hiercls.values.readings import answer_radius, group_radius
from hiercls.verbs.assembly import assembled, certified
from hiercls.verbs.audit import audit
from hiercls.verbs.certify import certify
from hiercls.verbs.evaluate import evaluate
from hiercls.verbs.run import run_all
from hiercls.verbs.status import status
from hiercls.verbs.train import train
from hiercls.words.errors import ConfigurationError


def test_one_command_trains_certifies_audits_and_reports(opened):
    run = opened(MIXED)
    found, page = run_all(run)
    assert page.exists()
    assert found.systems[0].name == "tree"
    assert len(found) == 60
    assert (run.folder / "tree.json").exists()
    assert all(row["done"] == row["of"] for row in status(run) if row["kind"] in ("network", "certified"))
    root = found.systems[0].certificates.nodes[run.tree.root]
    assert bool((root.own > 0).any())
    leaf = found.systems[0].certificates.nodes[run.tree.decisions[1]]
    assert float(leaf.radii.max()) == 0.0
    trained = "ibp (eps 0.05, ramp [1.0, 4.0], schedule (epochs 8, batch 32))"
    assert found.systems[0].nodes[0].decides == f"retrained mlp (hidden [32]), {trained}"


def test_a_restricted_node_is_never_below_the_flat_classifier_on_the_same_draws(opened):
    run = opened(SMOOTHED)
    train(run)
    certify(run)
    found = certified(assembled(run))
    tree, flat = found["tree"], found["flat"]
    agree = (tree.answered_label() == flat.answered_label()) & (flat.answered_label() >= 0)
    assert int(agree.sum()) > 10
    assert bool((answer_radius(tree).values[agree] >= answer_radius(flat).values[agree]).all())
    assert float(answer_radius(flat).values[agree].max()) > 0


def test_path_readings_hold_at_alpha_and_joint_ones_at_their_sum(opened):
    run = opened(SMOOTHED)
    train(run)
    certify(run)
    found = certified(assembled(run))
    assert float(found["tree"].path_alpha.max()) == 0.001
    assert float(found["tree"].joint_alpha.max()) == pytest.approx(0.003)
    assert float(found["flat"].joint_alpha.max()) == 0.001


def test_joint_divides_alpha_by_the_smoothed_nodes_of_the_longest_path(opened):
    run = opened(SMOOTHED.replace("{inputs: 25}", "{inputs: 5, joint: true}"))
    train(run)
    certify(run)
    tree = certified(assembled(run))["tree"]
    assert float(tree.path_alpha.max()) == pytest.approx(0.001 / 3)
    assert float(tree.joint_alpha.max()) <= 0.001 * (1 + 1e-12)


def test_a_derived_tree_appears_after_its_network(opened):
    text = SMOOTHED.replace(
        'tree: {groups: {low: [["0", "1"], ["2", "3", "4"]], high: ["5", "6", "7", "8", "9"]}}',
        "tree: {build: {agglomerative: {of: flat}}, truncate: {depth: 1}}",
    )
    run = opened(text)
    assert run.known_tree() is None
    with pytest.raises(ConfigurationError, match="hiercls train"):
        certify(run, inputs=2)
    train(run)
    assert run.tree.depth == 2
    assert certify(run, inputs=2) == {"inputs": 2, "finished": 2}


def test_evaluation_agrees_with_a_count_by_hand(opened):
    run = opened(MIXED)
    train(run)
    found = evaluate(run)["tree"]
    networks = run.networks(run.tree)
    data = run.data.test
    x = data.views["image"]
    with torch.no_grad():
        root = networks.load("node root")(x).argmax(1)
        leaves = [networks.load(f"node {name}")(x).argmax(1) for name in ("round", "straight")]
    children = run.tree.children(run.tree.root)
    answers = [sorted(children[c])[int(leaves[c][k])] for k, c in enumerate(root.tolist())]
    assert found["accuracy"] == pytest.approx(float((torch.tensor(answers) == data.truth).double().mean()))
    right_group = [int(t) in children[c] for t, c in zip(data.truth, root.tolist(), strict=True)]
    assert found["groups"][0] == pytest.approx(sum(right_group) / len(right_group))


def test_a_started_network_begins_with_the_mean_of_its_groups_rows(opened):
    text = MIXED.replace("  root: {trainer:", "  root: {init: flat, trainer:")
    run = opened(text)
    train(run, only="flat")
    networks = run.networks(run.tree)
    given = networks.load("flat").state_dict()
    start = networks.started("node root").state_dict()
    children = run.tree.children(run.tree.root)
    for name, tensor in start.items():
        if tensor.shape == given[name].shape:
            assert torch.equal(tensor, given[name])
        else:
            means = [given[name][sorted(child)].mean(dim=0) for child in children]
            assert torch.equal(tensor, torch.stack(means))
    assert train(run)["node root"]


def test_fast_initial_weights_do_not_draw_over_given_ones(opened):
    """A training of one step with a tiny rate stays where `init` put it."""
    text = MIXED.replace(
        "  root: {trainer: {ibp: {eps: 0.05, ramp: [1, 4], schedule: {epochs: 8, batch: 32}}}}",
        "  root: {init: flat, trainer: {ibp: {eps: 0.05, ramp: [0, 1], schedule: {epochs: 1, rate: 1e-9}}}}",
    )
    run = opened(text)
    train(run)
    networks = run.networks(run.tree)
    given, fitted = (networks.load(name).state_dict() for name in ("flat", "node root"))
    for name in given:
        if given[name].shape == fitted[name].shape and given[name].is_floating_point():
            assert torch.allclose(given[name], fitted[name], atol=1e-5)


MIXED_NORMS = """
name: norms
data: {dataset: digits}
threat: {norm: NORM, budgets: [0.01]}
networks:
  noisy:
    architecture: {mlp: {hidden: [32]}}
    trainer: {gaussian: {sigma: 0.25, schedule: {epochs: 6}}}
    certifier: {smoothing: {draws: 1000, tile: 100}}
tree: {groups: {low: ["0", "1", "2", "3", "4"], high: ["5", "6", "7", "8", "9"]}}
nodes:
  all:
    architecture: {mlp: {hidden: [32]}}
    trainer: {ibp: {eps: 0.03, ramp: [1, 4], schedule: {epochs: 8, batch: 32}}}
  root: {restrict: noisy}
certify: {inputs: 20}
audit: {inputs: 5, attack: {pgd: {steps: 5, restarts: 1, draws: 4}}}
"""


@pytest.mark.parametrize(("norm", "smoothed", "interval"), [("linf", 1 / 8, 1.0), ("l2", 1.0, 1.0), ("l1", 1.0, 1.0)])
def test_a_path_of_two_norms_is_told_in_the_norm_of_the_threat(opened, norm, smoothed, interval):
    """An l2 ball of 64 pixels holds the l_inf ball of an eighth of its radius; an l_inf ball holds every l_p ball."""
    run = opened(MIXED_NORMS.replace("NORM", norm))
    train(run)
    certify(run)
    audit(run)
    assembly = assembled(run)
    tree = certified(assembly)["tree"]
    stored = {}
    for (_, index), row in rows(run, "proofs").items():
        for each in row["rows"]:
            stored.setdefault(index, []).append(("counts" in each["evidence"], each["own"]))
    for k, index in enumerate(assembly.selected.tolist()):
        for random, own in stored[index]:
            nodes = [n for n in tree.tree.decisions if (n == tree.tree.root) == random and tree.nodes[n].chosen[k] >= 0]
            told = float(tree.nodes[nodes[0]].own[k])
            exact = own * (smoothed if random else interval)
            assert told <= exact
            assert told == pytest.approx(exact, rel=1e-12)
    assert float(tree.nodes[tree.tree.root].own.max()) > 0
    assert float(tree.path_alpha.max()) == 0.001
    assert float(tree.joint_alpha.max()) == 0.001


def test_an_abstaining_node_below_a_certified_one_ends_the_answer_not_the_guarantee(opened):
    """The network below the root answers nothing finite: the answer is the root's child, certified as such."""
    run = opened(MIXED)
    train(run)
    networks = run.networks(run.tree)
    for name in ("node round", "node straight"):
        spoil(networks.place(name))
    certify(run)
    tree = certified(assembled(run))["tree"]
    assert bool((tree.answered_label() == -1).all())
    assert float(answer_radius(tree).values.max()) == 0.0
    root = tree.nodes[run.tree.root]
    assert torch.equal(group_radius(tree, 1).values, root.own)
    assert float(root.own.max()) > 0
    members = tree.members()
    assert bool((tree.radii[~members] == root.own.repeat_interleave((~members).sum(dim=1))).all())
    assert float(tree.radii[members].max()) == 0.0


def spoil(place):
    """Put NaN into stored weights, as a training that diverged would, with the hash that belongs to them."""
    path = place / "weights.safetensors"
    weights = load_file(path)
    save_file({name: torch.full_like(tensor, float("nan")) for name, tensor in weights.items()}, path)
    record = json.loads((place / "meta.json").read_text())
    record["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (place / "meta.json").write_text(json.dumps(record))
