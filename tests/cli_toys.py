"""A command line beside a recipe in which nothing is wrong and whose components build nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
from recipe_toys import PLUGIN

from hiercls.cli.main import main

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
def beside_a_good_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
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
