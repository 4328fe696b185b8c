"""The rooms of the house: who may import whom."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("words", "values", "contracts", "wiring", "whole", "verbs", "cli")
COMMON = {"words", "values", "contracts"}


def imports(path: Path, package: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Every module that a file imports, also inside functions, with its line; relative ones made absolute."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield node.lineno, module
            yield from ((node.lineno, f"{module}.{name.name}") for name in node.names)


def offences(files: Iterator[Path], source: Path) -> list[str]:
    found = []
    for path in sorted(files):
        parts = path.relative_to(source).with_suffix("").parts
        package = parts[:-1]
        for line, module in imports(path, package):
            if not may_import(parts, module.split(".")):
                found.append(f"{path.relative_to(source)}:{line} imports {module}")
    return sorted(set(found))


def may_import(importer: tuple[str, ...], module: list[str]) -> bool:
    if importer[0] == "hiercls":
        return core_may_import(importer, module)
    if module[0] == "hiercls":
        return plugin_may_import_core(importer, module)
    return module[0] != "hiercls_plugins" or module[1:2] in ([], [importer[1]], ["bounds"])


def core_may_import(importer: tuple[str, ...], module: list[str]) -> bool:
    if module[0] != "hiercls":
        return module[0] != "hiercls_plugins"
    if len(module) == 1 or module[1] == "__version__":
        return True
    room = importer[1]
    return module[1] in (COMMON | {"testing"} if room == "testing" else ROOMS[: ROOMS.index(room) + 1])


def plugin_may_import_core(importer: tuple[str, ...], module: list[str]) -> bool:
    """Rooms 1 to 3 and the kit; a module that holds commands also the verbs, and what commands share."""
    holds_commands = importer[-1].startswith("command")
    rooms = COMMON | {"testing"} | ({"verbs"} if holds_commands else set())
    return len(module) == 1 or module[1] in rooms or (holds_commands and module[1:3] == ["cli", "common"])


@pytest.mark.parametrize("part", [*ROOMS, "testing"])
def test_a_room_imports_only_itself_and_earlier_rooms(part: str):
    assert offences((ROOT / "hiercls" / part).rglob("*.py"), ROOT) == []


def test_plugins_import_the_common_rooms_and_themselves():
    plugins = ROOT / "plugins"
    assert offences((plugins / "hiercls_plugins").rglob("*.py"), plugins) == []


def test_every_module_of_the_core_stands_in_a_room():
    folders = {path.name for path in (ROOT / "hiercls").iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert folders <= {*ROOMS, "testing"}
    assert [path.name for path in (ROOT / "hiercls").glob("*.py")] == ["__init__.py"]


@pytest.mark.parametrize(
    ("place", "source", "offence"),
    [
        ("hiercls/words/errors.py", "import hiercls.values.labels", ":1 imports hiercls.values.labels"),
        ("hiercls/values/a.py", "\nfrom hiercls import verbs", ":2 imports hiercls.verbs"),
        ("hiercls/values/a.py", "from ..verbs import train", ":1 imports hiercls.verbs"),
        ("hiercls/whole/a.py", "def f():\n    import hiercls_plugins.ibp", ":2 imports hiercls_plugins.ibp"),
        ("hiercls/testing/a.py", "import hiercls.wiring", ":1 imports hiercls.wiring"),
        ("hiercls_plugins/ibp/a.py", "from hiercls_plugins import pgd", ":1 imports hiercls_plugins.pgd"),
        ("hiercls_plugins/ibp/a.py", "from hiercls.verbs import train", ":1 imports hiercls.verbs"),
        ("hiercls_plugins/ibp/a.py", "import hiercls.cli.common", ":1 imports hiercls.cli.common"),
        ("hiercls_plugins/ibp/commands.py", "import hiercls.cli.main", ":1 imports hiercls.cli.main"),
        ("hiercls_plugins/ibp/commands.py", "from hiercls.whole import runs", ":1 imports hiercls.whole"),
        ("hiercls_plugins/bounds/a.py", "import hiercls_plugins.ibp.prover", ":1 imports hiercls_plugins.ibp.prover"),
    ],
)
def test_an_import_across_rooms_is_named(tmp_path: Path, place: str, source: str, offence: str):
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert f"{place}{offence}" in offences(iter([path]), tmp_path)


@pytest.mark.parametrize(
    ("place", "source"),
    [
        (
            "hiercls/verbs/a.py",
            "import hiercls\nfrom hiercls.whole import runs\nfrom hiercls.values.labels import Node",
        ),
        ("hiercls/cli/a.py", "from hiercls import __version__\nfrom hiercls.verbs import train"),
        ("hiercls_plugins/ibp/a.py", "from hiercls_plugins.bounds.boxes import box\nfrom hiercls.testing import x"),
        ("hiercls_plugins/ibp/commands.py", "from hiercls.verbs import train"),
        ("hiercls_plugins/ibp/commands.py", "from hiercls.cli.common import run_options"),
    ],
)
def test_an_import_within_the_rules_passes(tmp_path: Path, place: str, source: str):
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert offences(iter([path]), tmp_path) == []


LIGHT = """
import importlib, pathlib, sys
import hiercls
modules = ["hiercls.contracts.components", "hiercls.contracts.hookspecs", "hiercls.wiring.registry"]
heavy = [name for name in modules if importlib.import_module(name) and "torch" in sys.modules]
for path in sorted(pathlib.Path(sys.argv[1]).glob("hiercls_plugins/*/plugin.py")):
    plugin = importlib.import_module(f"hiercls_plugins.{path.parent.name}.plugin")
    for spec in plugin.hiercls_components():
        importlib.import_module(spec.target.partition(":")[0])
        if "torch" in sys.modules:
            heavy.append(spec.target)
            break
print("\\n".join(heavy))
"""


def test_importing_the_framework_or_any_component_imports_no_torch():
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", LIGHT, str(ROOT / "plugins")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
