"""Stored work: the same rows however they are computed, and nothing redone but what has changed."""

import json
from dataclasses import replace

import pytest
import torch
from run_toys import MIXED, SMOOTHED, rows

from hiercls.verbs.assembly import assembled, certified
from hiercls.verbs.certify import Shard, certify
from hiercls.verbs.run import run_all
from hiercls.verbs.train import train
from hiercls.whole.proofs import proof_key, timeless


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
