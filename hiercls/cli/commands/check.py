"""`hiercls check`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hiercls.cli.common import console, data_root, json_option, opened_recipe, plugins_option, run_argument, show_json

if TYPE_CHECKING:
    from rich.table import Table

    from hiercls.contracts.components import Component
    from hiercls.values.labels import LabelTree
    from hiercls.wiring.recipe import NetworkSpec, NodeSpec, Recipe
    from hiercls.wiring.specs import CertifySpec, Truncate

_KEY_WORDS = {"restrict": "restricted from", "init": "started from"}


@click.command()
@run_argument
@plugins_option
@click.option("--quick", is_flag=True, help="Read the YAML alone: build no network and deploy no certifier.")
@json_option
def check(path: Path, allow_plugins: bool, quick: bool, as_json: bool) -> None:
    """Say what a YAML means, or every mistake in it at once. Nothing is trained and no data is read.

    Every network is built and every certifier deployed on it once, so that an operation that a certifier does not
    know is told before anyone trains.
    """
    recipe = opened_recipe(path, allow_plugins)
    if not quick:
        from hiercls.verbs.rehearse import rehearse

        rehearse(recipe, data_root())
    if as_json:
        show_json(meaning(recipe))
    else:
        _print(recipe)


def meaning(recipe: "Recipe") -> dict[str, Any]:
    """What a recipe says, in JSON's types; `tree` and `nodes` are null where the tree is derived."""
    from hiercls.values.drawing import as_json
    from hiercls.wiring.specs import written_threat

    tree = recipe.written_tree()
    return {
        "name": recipe.name,
        "source": str(recipe.source),
        "seed": recipe.seed,
        "data": recipe.document(recipe.data.dataset),
        "held_out": recipe.data.held_out,
        "allowed": recipe.data.allowed,
        "labels": list(recipe.labels),
        "threat": written_threat(recipe.threat),
        "networks": {name: _facts(recipe, spec) for name, spec in recipe.networks.items()},
        "tree": None if tree is None else json.loads(as_json(tree)),
        "nodes": None if tree is None else [_facts(recipe, spec) | place for place, spec in _placed(recipe, tree)],
        "truncate": None if recipe.tree.truncate is None else recipe.tree.truncate.model_dump(exclude_none=True),
        "baseline": list(recipe.baseline),
        "certify": recipe.certify.model_dump(mode="json"),
        "audit": _facts(recipe, recipe.audit),
        "metrics": [recipe.document(metric) for metric in recipe.metrics],
        "warnings": list(_warnings(recipe, tree)),
    }


def _facts(recipe: "Recipe", spec: Any) -> dict[str, Any]:
    from hiercls.contracts.components import Component

    fields = {name: getattr(spec, name) for name in type(spec).model_fields}
    return {name: recipe.document(value) if isinstance(value, Component) else value for name, value in fields.items()}


def _placed(recipe: "Recipe", tree: "LabelTree") -> "Iterator[tuple[dict[str, Any], NodeSpec]]":
    from hiercls.wiring.selectors import path_name

    for node, spec in recipe.node_specs(tree).items():
        yield {"node": path_name(tree, node), "level": tree.level(node)}, spec


def _print(recipe: "Recipe") -> None:
    from hiercls.values.drawing import as_text

    page = console()
    tree = recipe.written_tree()
    page.print(_overview(recipe))
    if recipe.networks:
        page.print("\nnetworks", style="bold")
        page.print(_networks(recipe))
    page.print("\ntree", style="bold")
    page.print(f"derived by {_described(recipe, recipe.tree.build)}" if tree is None else as_text(tree))
    page.print("\nnodes", style="bold")
    page.print(_selectors(recipe) if tree is None else _nodes(recipe, tree))
    for warning in _warnings(recipe, tree):
        page.print(f"\n{warning}", style="yellow")


def _warnings(recipe: "Recipe", tree: "LabelTree | None") -> tuple[str, ...]:
    """What is to be said before anyone pays for certificates: that there will be none, and what to mind."""
    from hiercls.wiring.cautions import cautions

    if _masked(recipe):
        return (f"Nothing is certified anywhere: {_open_mask(recipe)}.",)
    specs: list[Any] = [recipe.networks[name] for name in recipe.baseline]
    specs += [] if tree is None else recipe.node_specs(tree).values()
    reached = [spec.certifier for spec in specs if spec.certifier is not None and recipe.threat.reaches(spec.view)]
    found = [certifier.warnings(recipe.threat, recipe.certify.alpha) for certifier in reached]
    return tuple(dict.fromkeys([*cautions(recipe, tree), *(sentence for sentences in found for sentence in sentences)]))


def _overview(recipe: "Recipe") -> "Table":
    threat = recipe.threat
    budgets = ", ".join(f"{budget:.4g}" for budget in threat.budgets) or "none named"
    table = _table()
    table.add_row("recipe", f"{recipe.name} ({recipe.source}): nothing is wrong with it")
    table.add_row("seed", str(recipe.seed))
    table.add_row("data", _data(recipe))
    table.add_row("threat", f"{threat.norm} on {threat.view}, budgets {budgets}, inputs in {threat.domain}")
    if recipe.baseline:
        table.add_row("baseline", ", ".join(recipe.baseline))
    if recipe.tree.truncate is not None:
        table.add_row("truncate", _cut(recipe.tree.truncate))
    table.add_row("certify", _asked(recipe.certify))
    table.add_row("audit", f"{recipe.audit.inputs:,} inputs, {_described(recipe, recipe.audit.attack)}")
    table.add_row("metrics", ", ".join(_described(recipe, metric) for metric in recipe.metrics) or "none named")
    return table


def _data(recipe: "Recipe") -> str:
    data = recipe.data
    held_out = f", {data.held_out:g} of the training examples held out" if data.held_out else ""
    allowed = f", {data.allowed} gives the allowed labels" if data.allowed else ""
    return f"{_described(recipe, data.dataset)}: {len(recipe.labels)} labels{held_out}{allowed}"


def _cut(truncate: "Truncate") -> str:
    if truncate.depth is not None:
        return f"multi-way nodes at level {truncate.depth}, nothing below"
    return "one multi-way node for every subtree in which all nodes are asked the same"


def _asked(certify: "CertifySpec") -> str:
    inputs = certify.inputs
    shared = ", divided among the smoothed nodes of a path" if certify.joint else ""
    if isinstance(inputs, str):
        asked = "all inputs"
    elif isinstance(inputs, int):
        asked = f"{inputs:,} inputs"
    else:
        asked = f"{inputs.each:,} inputs of every label set at level {inputs.level}"
    return f"{asked}, alpha {certify.alpha:g}{shared}"


def _networks(recipe: "Recipe") -> "Table":
    from hiercls.wiring.specs import ComposedSpec

    table = _table("name", "architecture", "trainer", "certifier", "view")
    for name, spec in recipe.networks.items():
        made = ("the walk down the tree", "none") if isinstance(spec, ComposedSpec) else _made(recipe, spec)
        table.add_row(name, *made, _described(recipe, spec.certifier), spec.view)
    return table


def _made(recipe: "Recipe", spec: "NetworkSpec") -> tuple[str, str]:
    return _described(recipe, spec.architecture), _described(recipe, spec.trainer)


def _nodes(recipe: "Recipe", tree: "LabelTree") -> "Table":
    table = _table("node", "level", "decides", "certifier", "view")
    for place, spec in _placed(recipe, tree):
        certifier = _certified(recipe, spec)
        table.add_row(place["node"], str(place["level"]), _decides(recipe, spec), certifier, spec.view)
    return table


def _masked(recipe: "Recipe") -> bool:
    """Whether the adversary can change the allowed labels, so that no claim holds."""
    return recipe.data.allowed is not None and recipe.threat.reaches(recipe.data.allowed)


def _open_mask(recipe: "Recipe") -> str:
    return f"the adversary can change {recipe.threat.view}, which gives the allowed labels"


def _certified(recipe: "Recipe", spec: "NodeSpec") -> str:
    if _masked(recipe):
        return f"nothing: {_open_mask(recipe)}"
    if not recipe.threat.reaches(spec.view):
        return "out of the adversary's reach"
    return "none, radius 0" if spec.certifier is None else _described(recipe, spec.certifier)


def _decides(recipe: "Recipe", spec: "NodeSpec") -> str:
    if spec.restrict is not None:
        return f"restricted from {spec.restrict}"
    start = f", from {spec.init}" if spec.init else ""
    return f"{_described(recipe, spec.architecture)}, {_described(recipe, spec.trainer)}{start}"


def _selectors(recipe: "Recipe") -> "Table":
    """What is written of the nodes of a tree that does not exist yet."""
    table = _table("selector", "entry")
    for selector, entry in recipe.nodes.items():
        table.add_row(selector, ", ".join(f"{_KEY_WORDS.get(key, key)} {_named(part)}" for key, part in entry.items()))
    return table


def _named(part: Any) -> str:
    """What an entry says under one key: a name, or a component with its options."""
    from hiercls.wiring.wording import named, value_in_words

    if not isinstance(part, dict):
        return value_in_words(part)
    return ", ".join(named(name, options or {}) for name, options in part.items())


def _described(recipe: "Recipe", component: "Component | None") -> str:
    from hiercls.wiring.wording import described

    return described(recipe, component)


def _table(*headings: str) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=bool(headings), header_style="dim")
    for heading in headings or ("", ""):
        table.add_column(heading, overflow="fold")
    return table
