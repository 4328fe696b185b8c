"""The command line, as far as it needs no training: help, what is imported, and what there is to choose from."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from cli_toys import GOOD, Call, beside_a_good_recipe

from hiercls.cli.commands.plugins import _as_yaml
from hiercls.cli.main import _COMMANDS

call = beside_a_good_recipe


def imported(code: str, cwd: Path | None = None) -> set[str]:
    """The modules that a fresh Python holds after running `code`."""
    program = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint('MODULES', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=cwd)
    return set(done.stdout.rpartition("MODULES")[2].split())


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
