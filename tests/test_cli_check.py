"""`hiercls check`: what a YAML means, in words and in JSON."""

import json
from pathlib import Path

from cli_toys import GOOD, Call, beside_a_good_recipe

call = beside_a_good_recipe


def test_check_says_what_a_yaml_means(call: Call) -> None:
    code, out, err = call("check", "good.yaml")
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "recipe zoo-run (good.yaml): nothing is wrong with it" in lines
    assert "threat l2 on image, budgets 0.03137, inputs in [0, 1]" in lines
    assert "flat tiny noisy (sigma 0.25) votes (sigma 0.25) image" in lines
    assert "├─ vehicles" in lines
    assert "root 0 tiny, plain out of the adversary's reach lidar" in lines
    assert "living 1 restricted from flat none, radius 0 image" in lines
    assert "vehicles 1 restricted from flat votes (sigma 0.25) image" in lines


def test_check_shows_what_was_written_of_a_schedule_against_the_trainer_that_has_it(call: Call, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("""\
data: {dataset: digits}
threat: {norm: linf}
nodes: {root: {architecture: linear, trainer: {ibp: {eps: 0.1, schedule: {rate: 1e-3, epochs: 30}}}}}
""")
    code, out, _ = call("check", "x.yaml")
    assert code == 0
    assert "linear, ibp (eps 0.1, schedule (epochs 30, rate 0.001))" in out


def test_check_shows_unnamed_groups_and_warnings_as_they_are(call: Call, tmp_path: Path) -> None:
    groups = "[[cat, dog, bird], [airplane, ship, 1]]"
    text = GOOD.replace("{living: [cat, dog, bird], vehicles: [airplane, ship, 1]}", groups)
    text = text.replace("living: {certifier: none}", "last: {certifier: {votes: {draws: 9}}}")
    (tmp_path / "x.yaml").write_text(text)
    code, out, _ = call("check", "x.yaml")
    assert code == 0
    assert "[bird, cat, dog]" in out
    assert out.endswith("\n9 draws are few for alpha 0.001.\n")


def test_check_says_how_much_is_certified_audited_and_measured(call: Call, tmp_path: Path) -> None:
    text = GOOD.replace("ship, 1]}}", "ship, 1]}, truncate: {criterion: equal}}")
    text = text.replace("  living: {certifier: none}\n", "") + "seed: 7\n"
    text += "certify: {inputs: {each: 3, level: 1}, alpha: 1e-2, joint: true}\n"
    text += "audit: {inputs: 20, attack: {climb: {steps: 5}}}\nmetrics: [share, {share: {at: 1}}]\n"
    (tmp_path / "x.yaml").write_text(text)
    code, out, _ = call("check", "x.yaml")
    assert code == 0
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "seed 7" in lines
    assert "truncate one multi-way node for every subtree in which all nodes are asked the same" in lines
    certified = "certify 3 inputs of every label set at level 1, alpha 0.01, divided among the smoothed nodes of a path"
    assert certified in lines
    assert "audit 20 inputs, climb (steps 5)" in lines
    assert "metrics share, share (at 1)" in lines
    found = json.loads(call("check", "x.yaml", "--json")[1])
    assert found["certify"] == {"inputs": {"each": 3, "level": 1}, "alpha": 0.01, "joint": True, "batch": None}
    assert found["truncate"] == {"criterion": "equal"}
    assert found["audit"] == {"inputs": 20, "attack": {"climb": {"steps": 5}}}


def test_check_says_that_nothing_is_certified_where_the_adversary_gives_the_labels(call: Call, tmp_path: Path) -> None:
    text = GOOD.replace("{dataset: zoo}", "{dataset: zoo, allowed: location}").replace("l2,", "l2, view: location,")
    text = text.replace("{noisy: {sigma: 0.25}}}", "{noisy: {sigma: 0.25}}, view: image}")
    (tmp_path / "x.yaml").write_text(text)
    code, out, err = call("check", "x.yaml")
    assert (code, err) == (0, "")
    why = "the adversary can change location, which gives the allowed labels"
    assert out.count(f"nothing: {why}") == 3
    assert "reach" not in out
    assert json.loads(call("check", "x.yaml", "--json")[1])["warnings"] == [f"Nothing is certified anywhere: {why}."]


def test_check_in_json_is_pure_json(call: Call) -> None:
    code, out, _ = call("check", "good.yaml", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["threat"] == {"view": "image", "norm": "l2", "budgets": [8 / 255], "domain": {"box": [0.0, 1.0]}}
    nodes = {node["node"]: node for node in found["nodes"]}
    assert nodes["vehicles"]["restrict"] == "flat"
    assert nodes["vehicles"]["certifier"] == {"votes": {"sigma": 0.25, "draws": 1000}}
    assert nodes["root"]["certifier"] is None
    assert nodes["living"]["level"] == 1


def test_check_of_a_derived_tree_shows_its_selectors(call: Call, tmp_path: Path) -> None:
    text = GOOD.replace(
        "groups: {living: [cat, dog, bird], vehicles: [airplane, ship, 1]}", "build: {merge: {of: flat}}"
    )
    (tmp_path / "x.yaml").write_text(text)
    code, out, _ = call("check", "x.yaml")
    assert code == 0
    assert "derived by merge (of flat)" in out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert {
        "all restricted from flat",
        "root architecture tiny, trainer plain, view lidar",
        "living certifier none",
    } <= set(lines)
    assert json.loads(call("check", "x.yaml", "--json")[1])["tree"] is None


def test_check_takes_the_folder_of_a_run(call: Call, tmp_path: Path) -> None:
    assert call("check", str(tmp_path))[0] == 3
    from hiercls.wiring.recipe import load_recipe

    folder = tmp_path / "runs"
    folder.mkdir()
    (folder / "recipe.resolved.yaml").write_text(load_recipe(tmp_path / "good.yaml").resolved())
    code, out, _ = call("check", "runs")
    assert code == 0
    assert "zoo-run (runs/recipe.resolved.yaml)" in out
