"""Plugins that a recipe brings along: where they may lie, and that none runs which is not what it was."""

import py_compile
from pathlib import Path

import pytest
from recipe_toys import PLUGIN, minimal, specs

from hiercls.wiring.local_plugins import add_plugins_of
from hiercls.wiring.path_plugins import sha256_of
from hiercls.wiring.recipe import load_recipe
from hiercls.wiring.registry import Registry
from hiercls.words.errors import ConfigurationError, DataError, PluginError

MINE = """\
from hiercls.contracts.components import Trainer
from hiercls.contracts.hookspecs import Spec, hookimpl


class Mine(Trainer):
    def fit(self, network, task, context): ...


@hookimpl
def hiercls_components():
    yield Spec("trainer", "mine", f"{__name__}:Mine", "mine")
"""


@pytest.fixture
def fresh() -> Registry:
    """A registry that may get plugins of its own."""
    found = Registry()
    found.add_path(PLUGIN)
    return found


def with_mine(path: str) -> str:
    return minimal(plugins=f"[{path}]", nodes="{root: {architecture: tiny, trainer: mine}}")


def test_a_yaml_brings_plugins_from_below_its_own_folder(tmp_path: Path, fresh: Registry) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "x.yaml").write_text(with_mine("mine.py"))
    recipe = load_recipe(tmp_path / "x.yaml", fresh)
    assert Path(recipe.plugins[0].path) == (tmp_path / "mine.py").resolve()
    assert len(recipe.plugins[0].sha256) == 64
    assert recipe.document(specs(recipe)["root"].trainer) == {"mine": {}}
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "resolved.yaml").write_text(recipe.resolved())
    assert load_recipe(tmp_path / "runs" / "resolved.yaml", fresh, allow_plugins=True) == recipe


def test_a_plugin_outside_the_folder_is_refused_unless_allowed(tmp_path: Path, fresh: Registry) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    folder = tmp_path / "configs"
    folder.mkdir()
    (folder / "x.yaml").write_text(with_mine("../mine.py"))
    with pytest.raises(ConfigurationError) as told:
        load_recipe(folder / "x.yaml", fresh)
    assert str(told.value).splitlines()[-1] == (
        f"{folder / 'x.yaml'}:4:11 plugins.0: {folder / '../mine.py'} lies outside the folder of its YAML; move it "
        "there, or allow it with --allow-plugins"
    )
    assert load_recipe(folder / "x.yaml", fresh, allow_plugins=True).plugins


def test_a_link_to_a_plugin_outside_the_folder_is_refused(tmp_path: Path, fresh: Registry) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    folder = tmp_path / "configs"
    folder.mkdir()
    (folder / "mine.py").symlink_to(tmp_path / "mine.py")
    (folder / "x.yaml").write_text(with_mine("mine.py"))
    with pytest.raises(ConfigurationError, match="lies outside the folder of its YAML"):
        load_recipe(folder / "x.yaml", fresh)


def test_a_plugin_that_is_not_what_it_was_is_told(tmp_path: Path, fresh: Registry) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "x.yaml").write_text(with_mine("{path: mine.py, sha256: '00'}"))
    with pytest.raises(
        ConfigurationError, match=r"is not what it was: its SHA-256 is \w{64}, and the recipe names 00$"
    ):
        load_recipe(tmp_path / "x.yaml", fresh)


def tattling(folder: Path) -> Path:
    """Write the plugin `mine.py`, which leaves the file `ran` when its code runs; returns that file."""
    (folder / "mine.py").write_text(f"open({str(folder / 'ran')!r}, 'w').close()\n{MINE}")
    return folder / "ran"


def test_a_plugin_that_is_not_what_it_was_is_not_run(tmp_path: Path, fresh: Registry) -> None:
    ran = tattling(tmp_path)
    (tmp_path / "x.yaml").write_text(with_mine("{path: mine.py, sha256: '00'}"))
    with pytest.raises(ConfigurationError, match="is not what it was"):
        load_recipe(tmp_path / "x.yaml", fresh)
    with pytest.raises(ConfigurationError, match="is not what it was"):
        add_plugins_of(tmp_path / "x.yaml", fresh, allowed=True)
    assert not ran.exists()
    (tmp_path / "x.yaml").write_text(with_mine(f"{{path: mine.py, sha256: {sha256_of(tmp_path / 'mine.py')}}}"))
    load_recipe(tmp_path / "x.yaml", fresh)
    assert ran.exists()


def test_compiled_code_beside_a_plugin_is_not_run(tmp_path: Path, fresh: Registry) -> None:
    ran = tattling(tmp_path)
    compiled = py_compile.compile(
        str(tmp_path / "mine.py"), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
    assert compiled is not None
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "x.yaml").write_text(with_mine("mine.py"))
    assert load_recipe(tmp_path / "x.yaml", fresh).plugins
    assert not ran.exists()


@pytest.mark.parametrize("written", ["{path}", "{{path: {path}}}", "{{path: {path}, sha256: }}"])
def test_a_run_folder_runs_no_plugin_without_its_hash(tmp_path: Path, fresh: Registry, written: str) -> None:
    ran = tattling(tmp_path)
    run = tmp_path / "run"
    run.mkdir()
    resolved = run / "recipe.resolved.yaml"
    resolved.write_text(with_mine(written.format(path=tmp_path / "mine.py")))
    with pytest.raises(ConfigurationError, match=r"has no sha256 in .*; pass the original YAML instead of the run"):
        load_recipe(resolved, fresh, allow_plugins=True)
    with pytest.raises(ConfigurationError, match="has no sha256"):
        add_plugins_of(resolved, fresh, allowed=True)
    assert not ran.exists()
    hashed = f"{{path: {tmp_path / 'mine.py'}, sha256: {sha256_of(tmp_path / 'mine.py')}}}"
    resolved.write_text(with_mine(hashed))
    assert load_recipe(resolved, fresh, allow_plugins=True).plugins


def test_a_broken_plugin_that_a_yaml_names_is_a_plugin_error(tmp_path: Path, fresh: Registry) -> None:
    (tmp_path / "mine.py").write_text("import a_module_that_is_not_there")
    (tmp_path / "x.yaml").write_text(with_mine("mine.py"))
    with pytest.raises(PluginError) as told:
        load_recipe(tmp_path / "x.yaml", fresh)
    assert "plugins.0: plugin" in str(told.value)
    assert "ModuleNotFoundError: No module named 'a_module_that_is_not_there'" in str(told.value)


def test_a_missing_plugin_file_is_a_data_error_beside_which_nothing_is_wrong(tmp_path: Path, fresh: Registry) -> None:
    (tmp_path / "x.yaml").write_text(minimal(plugins="[mine.py]"))
    with pytest.raises(DataError, match=r"x.yaml:4:11 plugins.0: .*mine.py: no such file$"):
        load_recipe(tmp_path / "x.yaml", fresh)
