"""From a YAML text to certificates, on digits that ship with scikit-learn."""

import hashlib
import json
from dataclasses import replace
from math import inf

import pytest
import torch
from safetensors.torch import load_file, save_file

from hiercls.values.readings import answer_radius, group_radius
from hiercls.verbs.assembly import assembled, certified
from hiercls.verbs.audit import audit
from hiercls.verbs.certify import Shard, certify
from hiercls.verbs.evaluate import evaluate
from hiercls.verbs.power import UNKNOWN
from hiercls.verbs.report import findings
from hiercls.verbs.run import run_all
from hiercls.verbs.status import status
from hiercls.verbs.train import train
from hiercls.whole.proofs import proof_key, timeless
from hiercls.words.errors import CertificateBroken, ConfigurationError

MIXED = """
name: mixed
data: {dataset: digits}
threat: {norm: linf, budgets: [0.02]}
networks:
  flat:
    architecture: {mlp: {hidden: [32]}}
    trainer: {ibp: {eps: 0.05, ramp: [1, 3], schedule: {epochs: 4, batch: 32}}}
tree: {groups: {round: ["0", "6", "8", "9", "3", "5"], straight: ["1", "2", "4", "7"]}}
nodes:
  all: {architecture: {mlp: {hidden: [32]}}, trainer: {standard: {schedule: {epochs: 3}}}}
  root: {trainer: {ibp: {eps: 0.05, ramp: [1, 4], schedule: {epochs: 8, batch: 32}}}}
baseline: flat
metrics: [verified-error]
certify: {inputs: 60}
audit: {inputs: 20, attack: {pgd: {steps: 10, restarts: 2}}}
"""

SMOOTHED = """
name: smoothed
data: {dataset: digits}
threat: {norm: l2, budgets: [0.25]}
networks:
  flat:
    architecture: {mlp: {hidden: [32]}}
    trainer: {gaussian: {sigma: 0.25, schedule: {epochs: 6}}}
    certifier: {smoothing: {draws: 1000, audit: 1000, tile: 100}}
tree: {groups: {low: [["0", "1"], ["2", "3", "4"]], high: ["5", "6", "7", "8", "9"]}}
nodes: {all: {restrict: flat}}
baseline: flat
certify: {inputs: 25}
audit: {inputs: 10, attack: {pgd: {steps: 5, restarts: 1, draws: 4}}}
"""

VIEWS = """
name: views
data: {dataset: digits-two-views%s}
threat: {norm: linf, budgets: [0.02]%s}
tree: {groups: {low: ["0", "1", "2", "3", "4"], high: ["5", "6", "7", "8", "9"]}}
nodes:
  all:
    architecture: {mlp: {hidden: [16]}}
    trainer: {ibp: {eps: 0.02, ramp: [1, 2], schedule: {epochs: 4, batch: 32}}}
  root: {view: lidar, trainer: {standard: {schedule: {epochs: 3}}}}
certify: {inputs: 40}
audit: {inputs: 20, attack: {pgd: {steps: 10, restarts: 2}}}
"""


def rows(run, kind):
    """All stored rows of a kind without their seconds, by folder and input."""
    found = {}
    for part in sorted((run.folder / kind).glob("*/part-*.jsonl")):
        for line in part.read_text().splitlines():
            row = json.loads(line)
            assert (part.parent.name, row["index"]) not in found, "a row is stored twice"
            found[part.parent.name, row["index"]] = timeless(row)
    return found


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


def test_the_same_command_again_redoes_nothing(opened):
    run = opened(SMOOTHED)
    run_all(run)
    before = {path: path.stat().st_mtime_ns for path in run.folder.glob("networks/*/*") if path.name != ".lock"}
    kept = rows(run, "proofs"), rows(run, "paths")
    assert train(opened(SMOOTHED)) == {"flat": False}
    certify(opened(SMOOTHED))
    assert (rows(run, "proofs"), rows(run, "paths")) == kept
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("text", [MIXED, SMOOTHED])
def test_rows_depend_neither_on_the_batch_nor_on_shards(opened, text):
    runs = {name: opened(text, root=name) for name in ("small", "large", "shards")}
    for run in runs.values():
        train(run)
    certify(runs["small"], batch=1)
    certify(runs["large"], batch=512)
    for number in range(3):
        certify(runs["shards"], shard=Shard(number, 3))
    for kind in ("paths", "proofs"):
        assert rows(runs["small"], kind)
        assert rows(runs["small"], kind) == rows(runs["large"], kind) == rows(runs["shards"], kind)


def test_two_worker_processes_give_the_rows_of_one(opened):
    one, two = opened(SMOOTHED, root="one"), opened(SMOOTHED, root="two")
    train(one)
    train(two, workers=2)
    certify(one)
    assert certify(two, workers=2) == {"inputs": 25, "finished": 25}
    assert rows(one, "proofs") == rows(two, "proofs")


def test_more_inputs_keep_the_rows_of_fewer(opened):
    run = opened(SMOOTHED)
    train(run)
    certify(run, inputs=5)
    first = rows(run, "proofs")
    certify(run, inputs=9)
    later = rows(run, "proofs")
    assert len(first) == 5
    assert len(later) == 9
    assert first.items() <= later.items()


def test_a_changed_node_is_trained_alone(opened):
    train(opened(MIXED))
    changed = opened(MIXED.replace("standard: {schedule: {epochs: 3}}", "standard: {schedule: {epochs: 2}}"))
    assert changed.changed
    assert all("trainer" in key for key in changed.changed)
    assert train(changed) == {"flat": False, "node root": False, "node round": True, "node straight": True}


def bare(lines):
    """Stored rows without their seconds, in the order of their inputs."""
    return sorted((timeless(json.loads(line)) for line in lines), key=lambda row: row["index"])


def test_a_row_about_another_child_is_redone(opened):
    run = opened(SMOOTHED)
    train(run)
    certify(run, inputs=3)
    part = next((run.folder / "proofs").glob("*/part-*.jsonl"))
    kept = part.read_text().splitlines()
    row = json.loads(kept[0])
    row["rows"][0]["chosen"] = 1 - row["rows"][0]["chosen"]
    part.write_text("\n".join([json.dumps(row), *kept[1:]]) + "\n")
    assert certify(run, inputs=3) == {"inputs": 3, "finished": 3}
    assert bare(part.read_text().splitlines()[1:]) == bare(kept)


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


@pytest.mark.parametrize("text", [MIXED, SMOOTHED])
def test_a_planted_radius_breaks_the_audit(opened, text):
    """Every stored radius of the tree is overstated; the audit says so, and keeps what it found."""
    run = opened(text)
    train(run)
    certify(run)
    audit(run)
    overstate(run)
    for kept_audit in (run.folder / "audit").glob("*/*.json"):
        kept_audit.unlink()
    with pytest.raises(CertificateBroken, match="are broken"):
        audit(run)
    result = json.loads(next((run.folder / "audit").glob("*/*.json")).read_text())
    assert result["systems"]["tree"]["broken"]
    assert result["systems"]["tree"]["flips"]


def test_an_audit_prints_its_power(opened):
    run = opened(MIXED)
    train(run)
    certify(run)
    result = audit(run)
    assert set(result["power"]) == {"flat", "node root"}
    for figures in result["power"].values():
        assert figures["inflated"] == 300
        assert figures["caught"] >= 0.99 * figures["inflated"]


def test_certificates_on_a_grid_are_audited_and_their_power_is_unknown(opened):
    text = SMOOTHED.replace("norm: l2,", "norm: l2, domain: {grid: {levels: 16}},")
    text = text.replace("draws: 1000,", "draws: 1000, noise: grid,").replace("inputs: 25", "inputs: 6")
    run = opened(text.replace("audit: {inputs: 10", "audit: {inputs: 3"))
    train(run)
    certify(run)
    result = audit(run)
    assert result["systems"]["tree"]["radii"] > 0
    assert result["power"] == {"flat": {"caught": 0, "inflated": 0}}
    assert findings(run).audit["power, flat"] == UNKNOWN


def test_a_node_on_a_view_out_of_reach_cannot_be_moved(opened):
    run = opened(VIEWS % ("", ""))
    run_all(run)
    tree = certified(assembled(run))["tree"]
    root = tree.nodes[run.tree.root]
    assert bool((root.own == inf).all())
    wrong_group = ~torch.stack(
        [
            torch.isin(torch.arange(10), torch.tensor(sorted(run.tree.children(run.tree.root)[c])))
            for c in root.chosen.tolist()
        ]
    )
    assert bool((tree.radii[wrong_group] == inf).all())


def test_the_same_node_has_no_radius_when_its_view_is_in_reach(opened):
    run = opened((VIEWS % ("", ", view: lidar")).replace("  all:\n", "  all:\n    view: image\n"))
    train(run)
    certify(run)
    tree = certified(assembled(run))["tree"]
    assert float(tree.nodes[run.tree.root].own.max()) == 0.0
    below = [tree.nodes[node] for node in run.tree.decisions[1:]]
    assert all(set(rows.own[rows.chosen >= 0].tolist()) <= {inf} for rows in below)


def test_a_trusted_mask_excludes_labels_at_every_budget(opened):
    run = opened(VIEWS % (", allowed: location", ""))
    run_all(run)
    assembly = assembled(run)
    tree = certified(assembly)["tree"]
    allowed = assembly.inputs.allowed
    assert not bool(allowed.all())
    assert bool((tree.radii[~allowed] == inf).all())
    label = tree.answered_label()
    assert bool(allowed[torch.arange(len(label)), label].all())


def test_a_mask_in_reach_leaves_no_claim_anywhere(opened):
    text = (VIEWS % (", allowed: location", "")).replace("norm: linf", "norm: linf, view: location, domain: all")
    text = text.replace("  all:\n", "  all:\n    view: image\n")
    run = opened(text)
    train(run)
    certify(run)
    tree = certified(assembled(run))["tree"]
    assert float(tree.radii.max()) == 0.0
    assert all(float(rows.own.max()) == 0.0 for rows in tree.nodes.values())


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


def test_rows_of_other_shards_and_earlier_trainings_never_hide_newer_ones(opened):
    """Two shards, then another root in one process: all inputs are finished, and the figures are a fresh run's."""
    one, two = opened(MIXED), opened(MIXED)
    train(one)
    for number in range(2):
        certify(one, shard=Shard(number, 2))
    changed = MIXED.replace("ramp: [1, 4]", "ramp: [1, 3]")
    two = opened(changed)
    train(two)
    assert certify(two) == {"inputs": 60, "finished": 60}
    fresh = opened(changed, root="fresh")
    train(fresh)
    certify(fresh)
    old, new = (certified(assembled(run))["tree"] for run in (two, fresh))
    assert torch.equal(old.radii, new.radii)
    assert torch.equal(old.answer, new.answer)


def test_another_architecture_with_the_same_weights_has_proofs_of_its_own(opened):
    """An option without state changes the function and not the weights."""
    plain = "{mlp: {hidden: [32]}}"
    shifted = "{mlp: {hidden: [32], normalize: {mean: [0.5], std: [0.5]}}}"
    keys = []
    for text in (MIXED, MIXED.replace(plain, shifted)):
        run = opened(text)
        train(run)
        keys.append({proof_key(each, run.data) for each in assembled(run).proved_by})
    assert not keys[0] & keys[1]
    deployed = assembled(run).deployed[0]
    assert proof_key(deployed, run.data) != proof_key(replace(deployed, architecture={}), run.data)


def test_a_broken_audit_stays_broken_after_a_weaker_one(opened):
    """The one input that the weaker audit attacks holds; on its own that audit would pass."""
    run = opened(MIXED)
    train(run)
    certify(run)
    overstate(run, but=int(assembled(run).selected[0]))
    weaker = opened(MIXED.replace("steps: 10, restarts: 2", "steps: 1, restarts: 1"))
    assert not audit(weaker, inputs=1)["systems"]["tree"]["broken"]
    for _ in range(2):
        with pytest.raises(CertificateBroken):
            audit(run)
        with pytest.raises(CertificateBroken):
            audit(weaker, inputs=1)
    assert findings(weaker).audit["broken"] != "none"


def test_the_report_shows_no_audit_and_no_evaluation_of_other_networks(opened):
    run_all(opened(MIXED))
    changed = opened(MIXED.replace("standard: {schedule: {epochs: 3}}", "standard: {schedule: {epochs: 1}}"))
    train(changed)
    certify(changed)
    found = findings(changed)
    assert found.audit is None
    assert found.evaluation is None


def test_infinite_radii_are_attacked_too(opened):
    run = opened(MIXED)
    train(run)
    certify(run)
    overstate(run, "inf")
    with pytest.raises(CertificateBroken):
        audit(run)


def overstate(run, radius=5.0, but=None):
    """Put a radius into every stored row, but those of one input, that no network could have."""
    for part in (run.folder / "proofs").glob("*/part-*.jsonl"):
        kept = [json.loads(line) for line in part.read_text().splitlines()]
        for row in kept:
            for each in row["rows"] if row["index"] != but else ():
                each["own"] = radius
                each["radii"] = [0.0 if k == each["chosen"] else radius for k in range(len(each["radii"]))]
        part.write_text("".join(json.dumps(row) + "\n" for row in kept))
