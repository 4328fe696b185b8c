"""The command line, as far as it needs no training: messages, exit codes, and what is imported."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from hiercls.cli.commands.certify import ShardType
from hiercls.cli.commands.plugins import _as_yaml
from hiercls.cli.main import _COMMANDS, main
from hiercls.words.errors import (
    CertificateBroken,
    ConfigurationError,
    DataError,
    DeviceError,
    HierclsError,
    PluginError,
)

PLUGIN = Path(__file__).with_name("wiring_plugin.py")
GOOD = """\
name: zoo-run
plugins: [zoo.py]
data: {dataset: zoo}
threat: {norm: l2, budgets: [8/255]}
networks: {flat: {architecture: tiny, trainer: {noisy: {sigma: 0.25}}}}
tree: {groups: {living: [cat, dog, bird], vehicles: [airplane, ship, 1]}}
nodes:
  all: {restrict: flat}
  root: {architecture: tiny, trainer: plain, view: lidar}
  living: {certifier: none}
baseline: flat
"""

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a command beside `good.yaml`; returns the exit code, stdout and stderr. Its components build nothing."""
    monkeypatch.setattr("hiercls.verbs.rehearse.rehearse", lambda recipe, data_root: None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HIERCLS_DATA", raising=False)
    source = PLUGIN.read_text().replace('"gaussian"', '"noisy"').replace('"standard"', '"plain"')
    source = source.replace('"smoothing"', '"votes"').replace(
        'yield Spec("attack", "pgd"', 'yield Spec("attack", "climb"'
    )
    (tmp_path / "zoo.py").write_text(source)
    (tmp_path / "good.yaml").write_text(GOOD)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return run


def imported(code: str, cwd: Path | None = None) -> set[str]:
    """The modules that a fresh Python holds after running `code`."""
    program = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint('MODULES', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=cwd)
    return set(done.stdout.rpartition("MODULES")[2].split())


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let `hiercls check` raise an error."""

    def fail(path: Path, allow_plugins: bool) -> None:
        raise error

    monkeypatch.setattr("hiercls.cli.commands.check.opened_recipe", fail)


# help and imports


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    modules = imported("from hiercls.cli.main import main; main(['--help'])")
    assert "hiercls.cli.main" in modules
    assert not {"torch", "pydantic", "networkx", "rich", "numpy"} & modules


@pytest.mark.parametrize("arguments", [["plugins"], ["schema"], ["check", "bad.yaml"]])
def test_commands_on_configurations_import_no_torch(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "bad.yaml").write_text("data: {dataset: digits}\nsede: 1\n")
    modules = imported(f"from hiercls.cli.main import main; main({arguments!r})", tmp_path)
    assert "hiercls.wiring.registry" in modules
    assert "torch" not in modules


def test_every_command_loads_and_explains_itself(call: Call) -> None:
    for name, lazy in _COMMANDS.items():
        assert isinstance(lazy.load(), click.Command)
        code, out, _ = call(name, "--help")
        assert code == 0
        assert out.startswith(f"Usage: hiercls {name}")


def test_the_help_lists_the_commands_in_the_order_of_the_work(call: Call) -> None:
    code, out, _ = call("--help")
    assert code == 0
    places = [out.index(f"\n  {name} ") for name in ("check", "train", "certify", "audit", "report", "doctor")]
    assert places == sorted(places)


# messages and exit codes


def test_an_unknown_command_is_told_with_the_nearest_one(call: Call) -> None:
    code, out, err = call("chek")
    assert (code, out) == (2, "")
    assert err.endswith("Error: unknown command 'chek'; did you mean 'check'?\n")


def test_a_mistake_in_a_yaml_is_its_own_line_and_exit_2(call: Call, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(GOOD.replace("sigma: 0.25", "sigam: 0.25") + "sede: 3\n")
    code, out, err = call("check", "bad.yaml")
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "bad.yaml:5:56 networks.flat.trainer.noisy: sigma is missing: noise standard deviation",
        "bad.yaml:5:57 networks.flat.trainer.noisy.sigam: unknown option; did you mean 'sigma'?",
        "bad.yaml:12:1 sede: unknown option; did you mean 'seed'?",
    ]


def test_a_missing_file_is_exit_3(call: Call) -> None:
    assert call("check", "nowhere.yaml") == (3, "", "nowhere.yaml: cannot be read: No such file or directory\n")


def test_a_plugin_outside_the_folder_is_exit_2_and_can_be_allowed(call: Call, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x.yaml").write_text(GOOD.replace("[zoo.py]", "[../zoo.py]"))
    code, _, err = call("check", "sub/x.yaml")
    assert code == 2
    assert "sub/x.yaml:2:11 plugins.0: sub/../zoo.py lies outside the folder of its YAML" in err
    assert call("check", "sub/x.yaml", "--allow-plugins")[0] == 0


def test_a_broken_plugin_that_a_yaml_needs_is_exit_4(call: Call, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import a_module_that_is_not_there")
    (tmp_path / "x.yaml").write_text(GOOD.replace("[zoo.py]", "[zoo.py, broken.py]"))
    code, _, err = call("check", "x.yaml")
    assert code == 4
    assert "x.yaml:2:19 plugins.1: plugin broken.py is broken: ModuleNotFoundError: No module named" in err


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (ConfigurationError("one"), 2, "one\n"),
        (DataError("two"), 3, "two\n"),
        (PluginError("three"), 4, "three\n"),
        (DeviceError("four"), 5, "four\n"),
        (CertificateBroken("five"), 6, "five\n"),
        (HierclsError("six"), 2, "six\n"),
        (OSError(errno.ENOSPC, "No space left on device", "runs/x"), 3, "runs/x: No space left on device\n"),
        (PermissionError(errno.EACCES, "Permission denied", "runs"), 3, "runs: Permission denied\n"),
        (MemoryError(), 5, "out of memory (host); use a smaller --batch\n"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 5, "out of memory (DefaultCPUAllocator: can't"),
        (KeyboardInterrupt(), 130, "\nstopped; the same command goes on from here: hiercls check 'a run'\n"),
    ],
)
def test_every_kind_of_error_has_its_exit_code_and_no_traceback(
    call: Call, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, told: str
) -> None:
    import torch  # noqa: F401 a process that ran out of torch's memory has imported it

    failing(monkeypatch, error)
    found = call("check", "a run")
    assert found[0] == code
    assert found[2].startswith(told)
    assert "Traceback" not in found[2]


def test_out_of_memory_on_a_device_is_exit_5(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    failing(monkeypatch, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    code, _, err = call("check", "good.yaml")
    assert (code, err) == (5, "out of memory (CUDA out of memory. Tried to allocate 2 GiB); use a smaller --batch\n")


def test_a_fault_of_the_program_keeps_its_traceback(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, RuntimeError("not a user's mistake"))
    with pytest.raises(RuntimeError, match="not a user's mistake"):
        main(["check", "good.yaml"])


def test_the_traceback_is_shown_when_asked_for(call: Call) -> None:
    code, _, err = call("check", "nowhere.yaml", "--traceback")
    assert code == 3
    assert err.startswith("Traceback")
    assert err.endswith("nowhere.yaml: cannot be read: No such file or directory\n")


def test_an_interrupt_from_outside_prints_the_command_that_goes_on(tmp_path: Path) -> None:
    code = """
import os, signal, sys
import hiercls.cli.commands.check as check
check.opened_recipe = lambda *_: os.kill(os.getpid(), signal.SIGINT)
from hiercls.cli.main import main
main(["check", "x y.yaml"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr.endswith("stopped; the same command goes on from here: hiercls check 'x y.yaml'\n")
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


# commands


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


def test_tree_draws_in_every_format(call: Call) -> None:
    text = call("tree", "good.yaml")[1]
    assert (
        text == "root\n├─ vehicles\n│  ├─ airplane\n│  ├─ ship\n│  └─ 1\n└─ living\n   ├─ bird\n   ├─ cat\n   └─ dog\n"
    )
    assert json.loads(call("tree", "good.yaml", "--format", "json")[1])["labels"][0] == "airplane"
    assert call("tree", "good.yaml", "--format", "mermaid")[1].startswith("flowchart")
    assert call("tree", "good.yaml", "--format", "svg")[1].startswith("<svg")


def test_a_frozen_tree_can_be_put_into_a_yaml(call: Call, tmp_path: Path) -> None:
    frozen = call("tree", "good.yaml", "--freeze")[1]
    line = next(line for line in GOOD.splitlines(keepends=True) if line.startswith("tree:"))
    (tmp_path / "frozen.yaml").write_text(GOOD.replace(line, frozen))
    assert call("tree", "frozen.yaml") == call("tree", "good.yaml")


def test_plugins_lists_components_and_files_with_their_hash(call: Call, tmp_path: Path) -> None:
    code, out, _ = call("plugins", "good.yaml")
    assert code == 0
    assert any(line.split()[:3] == ["dataset", "zoo", "six"] for line in out.splitlines())
    import hashlib

    sha256 = hashlib.sha256((tmp_path / "zoo.py").read_bytes()).hexdigest()
    assert f"sha256 {sha256}" in out
    found = json.loads(call("plugins", "good.yaml", "--json")[1])
    assert {"kind", "name", "target", "summary", "packages", "plugin"} == set(found["components"][0])
    assert sha256 in [plugin["sha256"] for plugin in found["plugins"]]


def test_defaults_are_explained_as_a_yaml_writes_them(call: Call) -> None:
    code, out, _ = call("plugins", "good.yaml", "--explain", "noisy")
    assert code == 0
    assert "  schedule: default {epochs: 2, optimizer: adam}\n" in out
    assert "  sigma: required\n" in out
    assert [_as_yaml(value) for value in ((), (1, 2), None, True, 0.5, "none")] == [
        "[]", "[1, 2]", "null", "true", "0.5", "none"
    ]  # fmt: skip


def test_plugins_shows_broken_ones_and_ends_well(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    entry = metadata.EntryPoint("old", "a_module_that_is_not_there", "hiercls")
    monkeypatch.setattr(metadata, "entry_points", lambda group: [entry])
    code, out, _ = call("plugins")
    assert code == 0
    assert "plugin 'old' of an unknown distribution is broken: ModuleNotFoundError" in out
    found = json.loads(call("plugins", "--json")[1])
    assert found["broken"] == [
        {
            "name": "old",
            "distribution": "an unknown distribution",
            "error": "ModuleNotFoundError: No module named 'a_module_that_is_not_there'",
        }
    ]


def test_schema_is_json(call: Call) -> None:
    code, out, _ = call("schema")
    assert code == 0
    assert json.loads(out)["required"] == ["data"]


def test_doctor_tells_versions_and_data(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HIERCLS_DATA", str(tmp_path / "nothing"))
    code, out, _ = call("doctor", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["data"]["HIERCLS_DATA"] == f"{tmp_path / 'nothing'}, which is no folder"
    assert found["machine"]["cores"] == str(os.cpu_count())
    assert "torchvision" in found["optional"]


def test_doctor_tells_of_every_package_that_a_component_names(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "auto_LiRPA", None)
    line = "pip install --no-deps git+https://github.com/Verified-Intelligence/auto_LiRPA.git"
    missing = f"auto_LiRPA is not installed; install it with: pip install appdirs graphviz packaging tqdm && {line}"
    assert json.loads(call("doctor", "--json")[1])["optional"]["auto_LiRPA"] == missing
    code, out, _ = call("doctor")
    assert (code, f"\n  auto_LiRPA         {missing}\n" in out) == (0, True)
    (tmp_path / "auto_LiRPA.py").write_text("__version__ = '0.0.1'")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "auto_LiRPA")
    assert "\n  auto_LiRPA         0.0.1\n" in call("doctor")[1]
    monkeypatch.delitem(sys.modules, "auto_LiRPA")


def test_doctor_says_below_its_name_where_a_missing_set_was_searched(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = "dataset 'zoo' is not there: HIERCLS_DATA is not set; searched a/zoo, b/zoo; set HIERCLS_DATA to c"
    facts = {"data": {"zoo": missing, "digits": "found, 355 test inputs"}}
    monkeypatch.setattr("hiercls.cli.commands.doctor.diagnosis", lambda: facts)
    shown = "data\n  zoo\n      not found; searched a/zoo, b/zoo\n  digits             found, 355 test inputs\n"
    assert call("doctor") == (0, shown, "")


@pytest.mark.parametrize("text", ["5/4", "0/4", "1", "a/b", "1/0"])
def test_a_wrong_shard_is_told(call: Call, text: str) -> None:
    code, _, err = call("certify", "good.yaml", "--shard", text)
    assert code == 2
    assert f"found {text!r}; write k/n with 1 <= k <= n, such as 1/4" in err
    assert ShardType().convert("2/4", None, None) == (1, 4)
