"""Plugins: lazy, isolated, never in conflict unseen."""

import hashlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from textwrap import dedent

import click
import pytest

from hiercls.cli.lazy import LazyGroup
from hiercls.wiring.recipe import load_recipe
from hiercls.wiring.registry import Registry
from hiercls.words.errors import ConfigurationError, DataError, PluginError

PLUGIN = Path(__file__).with_name("wiring_plugin.py")

DOCS = Path(__file__).parents[1] / "docs" / "plugins.md"

Install = Callable[..., None]


@pytest.fixture
def registry() -> Registry:
    found = Registry()
    found.add_path(PLUGIN)
    return found


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Lay out distributions of one module each, as pip would, and let nothing else be found."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    kept = metadata.entry_points

    def only_these(**asked: str) -> list[metadata.EntryPoint]:
        entries = [entry for owner in metadata.distributions(path=[str(site)]) for entry in owner.entry_points]
        return [entry for entry in entries if entry.group == asked["group"]] if asked else list(kept())

    monkeypatch.setattr(metadata, "entry_points", only_these)

    def add(distribution: str, module: str, source: str) -> None:
        (site / f"{module}.py").write_text(dedent(source))
        info = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[hiercls]\n{module} = {module}\n")
        monkeypatch.delitem(sys.modules, module, raising=False)

    return add


def brings(name: str, target: str = "no_such_module:Thing") -> str:
    return f"""
        from hiercls.contracts.hookspecs import Spec, hookimpl

        @hookimpl
        def hiercls_components():
            return [Spec("trainer", "{name}", "{target}", "a trainer")]
        """


def test_components_are_listed_without_importing_them(install: Install) -> None:
    install("wide-net", "wide_plugin", brings("wide"))
    found = Registry.load()
    assert [(spec.kind, spec.name) for spec in found.specs()] == [("trainer", "wide")]
    assert "no_such_module" not in sys.modules
    assert str(found.plugin_of(found.specs()[0])) == "plugin 'wide_plugin' of wide-net 1.0"


def test_listing_imports_no_torch() -> None:
    code = f"""
import sys
from pathlib import Path
from hiercls.wiring.registry import Registry
registry = Registry.load([Path({str(PLUGIN)!r})])
assert registry.specs("trainer") and registry.get("dataset", "zoo")
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_component_is_found_by_kind_and_name(registry: Registry) -> None:
    assert registry.get("trainer", "gaussian").__name__ == "Noisy"
    assert [spec.name for spec in registry.specs("certifier")] == ["boxes", "smoothing"]


def test_an_unknown_name_is_told_with_the_nearest_one(registry: Registry) -> None:
    with pytest.raises(ConfigurationError, match=r"^unknown trainer 'gausian'; did you mean 'gaussian'\?$"):
        registry.get("trainer", "gausian")


def test_an_unknown_name_far_from_all_lists_what_there_is(registry: Registry) -> None:
    with pytest.raises(ConfigurationError, match=r"^unknown trainer 'qqq'; known are boxed, gaussian, standard$"):
        registry.get("trainer", "qqq")


def test_a_name_of_another_kind_is_told_as_such(registry: Registry) -> None:
    with pytest.raises(ConfigurationError, match=r"^unknown trainer 'smoothing'; 'smoothing' is a certifier$"):
        registry.get("trainer", "smoothing")


def test_a_broken_plugin_stops_nothing(install: Install) -> None:
    install("wide-net", "wide_plugin", brings("wide"))
    install("old-net", "old_plugin", "import a_module_that_is_not_there")
    found = Registry.load()
    assert [spec.name for spec in found.specs()] == ["wide"]
    (broken,) = found.broken
    assert (broken.name, broken.distribution) == ("old_plugin", "old-net 1.0")
    assert broken.error == "ModuleNotFoundError: No module named 'a_module_that_is_not_there'"


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("x = 1", "PluginError: it implements no hook of hiercls; decorate hiercls_components with hookimpl"),
        (brings("wide").replace('"trainer"', '"teacher"'), "PluginError: 'wide' is of the unknown kind 'teacher'"),
        (brings("wide", "no colon"), "PluginError: 'wide' has the target 'no colon'; write package.module:Class"),
        (brings("wide").replace("Spec(", "tuple((").replace('")', '"))'), "PluginError: hiercls_components yields"),
        (brings("wide").replace("return", "raise ValueError()\n            return"), "ValueError"),
    ],
)
def test_every_way_to_be_broken_is_remembered(install: Install, source: str, error: str) -> None:
    install("odd-net", "odd_plugin", source)
    (broken,) = Registry.load().broken
    assert broken.error.startswith(error)


def test_a_missing_component_names_the_broken_plugin_that_may_hold_it(install: Install) -> None:
    install("wide-net", "wide_plugin", brings("wide"))
    install("old-net", "old_plugin", "import a_module_that_is_not_there")
    found = Registry.load()
    with pytest.raises(PluginError) as told:
        found.get("trainer", "deep")
    assert str(told.value) == (
        "trainer 'deep' is unknown, and a plugin that may bring it is broken: plugin 'old_plugin' of old-net 1.0 is "
        "broken: ModuleNotFoundError: No module named 'a_module_that_is_not_there'"
    )
    with pytest.raises(ConfigurationError, match="did you mean 'wide'"):
        found.get("trainer", "wides")


def test_a_component_that_cannot_be_imported_names_its_plugin(install: Install) -> None:
    install("wide-net", "wide_plugin", brings("wide"))
    with pytest.raises(PluginError) as told:
        Registry.load().get("trainer", "wide")
    assert str(told.value) == (
        "trainer 'wide' of plugin 'wide_plugin' of wide-net 1.0 cannot be imported: ModuleNotFoundError: No module "
        "named 'no_such_module'"
    )


def test_a_target_that_is_no_component_of_its_kind_is_refused(install: Install) -> None:
    install("wide-net", "wide_plugin", brings("wide", "pathlib:Path"))
    with pytest.raises(PluginError, match=r"pathlib:Path is no Trainer$"):
        Registry.load().get("trainer", "wide")


def test_two_distributions_with_one_name_are_both_named(install: Install) -> None:
    install("one-net", "one_plugin", brings("wide"))
    install("two-net", "two_plugin", brings("wide", "elsewhere:Thing"))
    found = Registry.load()
    assert not found.broken
    with pytest.raises(PluginError) as told:
        found.get("trainer", "wide")
    assert "plugin 'one_plugin' of one-net 1.0" in str(told.value)
    assert "plugin 'two_plugin' of two-net 1.0" in str(told.value)


def test_a_plugin_file_is_known_by_the_hash_of_its_content(registry: Registry) -> None:
    (plugin,) = registry.plugins
    assert plugin.sha256 == hashlib.sha256(PLUGIN.read_bytes()).hexdigest()
    assert registry.add_path(PLUGIN) == plugin
    assert len(registry.plugins) == 1


def test_a_plugin_file_hides_no_installed_module(tmp_path: Path) -> None:
    path = tmp_path / "click.py"
    path.write_text(dedent(brings("wide", "{__name__}:X").replace('"{__name__}:X"', 'f"{__name__}:X"')))
    found = Registry()
    found.add_path(path)
    assert sys.modules["click"] is click
    assert found.specs()[0].target.startswith("hiercls_path_click_")


def test_a_plugin_file_is_run_once_however_often_it_is_named(registry: Registry) -> None:
    first = registry.get("dataset", "zoo")
    again = Registry()
    again.add_path(PLUGIN)
    assert again.get("dataset", "zoo") is first


def test_a_plugin_folder_is_a_package(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        dedent(brings("wide", "X").replace('"X"', 'f"{__name__}.parts:Wide"')),
    )
    (folder / "parts.py").write_text(
        "from hiercls.contracts.components import Trainer\n\n\nclass Wide(Trainer):\n    def fit(self, *_): ...\n"
    )
    found = Registry()
    before = found.add_path(folder).sha256
    assert found.get("trainer", "wide").__name__ == "Wide"
    (folder / "parts.py").write_text("x = 1")
    assert Registry().add_path(folder).sha256 != before


def test_a_path_without_a_plugin_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere.py: no such file$"):
        Registry().add_path(tmp_path / "nowhere.py")
    with pytest.raises(DataError, match=r"is a folder without an __init__.py"):
        Registry().add_path(tmp_path)


def test_plugins_add_commands_and_cannot_take_one(install: Install) -> None:
    source = """
        import click
        from hiercls.contracts.hookspecs import hookimpl

        @hookimpl
        def hiercls_commands(app):
            app.add_command(click.Command("{name}", help="Greets."))
        """
    install("one-net", "one_plugin", source.format(name="hello"))
    install("two-net", "two_plugin", source.format(name="check"))
    app = LazyGroup("hiercls", lazy={"check": object()})  # type: ignore[dict-item]
    found = Registry.load()
    found.commands(app)
    assert list(app.commands) == ["hello"]
    assert [broken.name for broken in found.broken] == ["two_plugin"]
    assert "the command 'check' is there already" in found.broken[0].error


EXAMPLE = Path(__file__).parents[1] / "examples" / "plugin-nearest-mean"


def test_the_example_plugin_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]["entry-points"]["hiercls"]
    entries = [metadata.EntryPoint(name, value, "hiercls") for name, value in declared.items()]
    monkeypatch.syspath_prepend(str(EXAMPLE))
    monkeypatch.setattr(metadata, "entry_points", lambda group: entries)
    trainer = Registry.load().get("trainer", "nearest-mean")()
    assert trainer.certifier() == {"exact-linear": {}}  # type: ignore[attr-defined]


def test_the_example_plugin_passes_the_conformance_kit() -> None:
    path = os.pathsep.join([str(EXAMPLE), str(EXAMPLE.parents[1]), str(EXAMPLE.parents[1] / "plugins")])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLE / "tests")]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False, cwd=EXAMPLE
    )
    assert done.returncode == 0, done.stdout[-2000:]


def test_the_one_file_plugin_of_the_documentation_is_found_by_its_recipe(tmp_path: Path) -> None:
    blocks = re.findall(r"```(?:python|yaml)\n(.*?)```", DOCS.read_text(), re.DOTALL)
    (tmp_path / "mine.py").write_text(next(block for block in blocks if "__name__" in block))
    (tmp_path / "squares.yaml").write_text(next(block for block in blocks if block.startswith("plugins:")))
    recipe = load_recipe(tmp_path / "squares.yaml")
    trainer = recipe.networks["flat"].trainer
    assert type(trainer).__name__ == "Mine"
    assert trainer.schedule.epochs == 2
