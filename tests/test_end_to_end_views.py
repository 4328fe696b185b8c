"""Views and masks in a whole run: what is out of the adversary's reach holds, what is within holds nothing."""

from math import inf

import torch

from hiercls.verbs.assembly import assembled, certified
from hiercls.verbs.certify import certify
from hiercls.verbs.run import run_all
from hiercls.verbs.train import train

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
