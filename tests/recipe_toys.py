"""Recipes on a small zoo of labels, written into the working folder and loaded, or their mistakes told."""

from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from hiercls.values.labels import LabelTree
from hiercls.wiring.recipe import NodeSpec, Recipe, load_recipe
from hiercls.wiring.registry import Registry
from hiercls.words.errors import ConfigurationError, HierclsError

PLUGIN = Path(__file__).with_name("wiring_plugin.py")

GROUPS = "{living: {pets: [cat, dog], bird: bird}, vehicles: [airplane, ship, 1]}"
FULL = f"""\
name: zoo-run
seed: 3
data: {{dataset: zoo, held_out: 0.1, allowed: location}}
threat: {{norm: l2, budgets: [8/255, 0.5]}}
networks:
  flat: {{architecture: tiny, trainer: {{gaussian: {{sigma: 0.25}}}}, certifier: {{smoothing: {{draws: 100_000}}}}}}
baseline: flat
tree: {{groups: {GROUPS}}}
nodes:
  all: {{restrict: flat}}
  root: {{architecture: tiny, trainer: {{boxed: {{eps: 8/255}}}}, init: flat}}
  living/*: {{certifier: {{smoothing: {{draws: 10}}}}}}
certify: {{inputs: {{each: 3, level: 1}}, alpha: 1e-3}}
metrics: [share, {{share: {{at: 1}}}}]
report: {{affinity: {{safe: [cat, 1]}}}}
"""


@cache
def zoo() -> Registry:
    """A registry with the components of the zoo."""
    found = Registry()
    found.add_path(PLUGIN)
    return found


@pytest.fixture
def zoo_loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write YAMLs into the working folder and load the one called `x.yaml`."""
    monkeypatch.chdir(tmp_path)

    def write_and_load(text: str, /, others: dict[str, str] | None = None, **settings: Any) -> Recipe:
        for name, content in {"x.yaml": text, **(others or {})}.items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(dedent(content))
        return load_recipe(Path("x.yaml"), zoo(), **settings)

    return write_and_load


def problems(load, text: str, error: type[HierclsError] = ConfigurationError, **settings: Any) -> list[str]:
    with pytest.raises(error) as told:
        load(text, **settings)
    assert type(told.value) is error
    return str(told.value).splitlines()


def specs(recipe: Recipe, tree: LabelTree | None = None) -> dict[str, NodeSpec]:
    tree = tree or recipe.written_tree()
    assert tree is not None
    return {tree.name(node): spec for node, spec in recipe.node_specs(tree).items()}


def minimal(**sections: str) -> str:
    """A YAML on the flat tree in which nothing is wrong, with some sections replaced or added."""
    text = {
        "data": "{dataset: zoo}",
        "threat": "{norm: linf}",
        "nodes": "{root: {architecture: tiny, trainer: standard}}",
    }
    return "".join(f"{key}: {value}\n" for key, value in {**text, **sections}.items())
