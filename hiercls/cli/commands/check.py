"""`hiercls check`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hiercls.cli.common import console, json_option, opened_recipe, plugins_option, run_argument, show_json

if TYPE_CHECKING:
    from rich.table import Table

    from hiercls.contracts.components import Component
    from hiercls.values.labels import LabelTree
    from hiercls.wiring.recipe import NodeSpec, Recipe


@click.command()
@run_argument
@plugins_option
@json_option
def check(path: Path, allow_plugins: bool, as_json: bool) -> None:
    """Say what a YAML means, or every mistake in it at once. Nothing is trained and no data is read."""
    recipe = opened_recipe(path, allow_plugins)
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
        "labels": list(recipe.labels),
        "threat": written_threat(recipe.threat),
        "networks": {name: _facts(recipe, spec) for name, spec in recipe.networks.items()},
        "tree": None if tree is None else json.loads(as_json(tree)),
        "nodes": None if tree is None else [_facts(recipe, spec) | place for place, spec in _placed(recipe, tree)],
        "baseline": list(recipe.baseline),
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
    """What the certifiers in reach have to say before anyone pays for them."""
    specs: list[Any] = [recipe.networks[name] for name in recipe.baseline]
    specs += [] if tree is None else recipe.node_specs(tree).values()
    reached = [spec.certifier for spec in specs if spec.certifier is not None and recipe.threat.reaches(spec.view)]
    found = [certifier.warnings(recipe.threat, recipe.certify.alpha) for certifier in reached]
    return tuple(dict.fromkeys(sentence for sentences in found for sentence in sentences))


def _overview(recipe: "Recipe") -> "Table":
    threat = recipe.threat
    budgets = ", ".join(f"{budget:.4g}" for budget in threat.budgets) or "none named"
    table = _table()
    table.add_row("recipe", f"{recipe.name} ({recipe.source}): nothing is wrong with it")
    table.add_row("data", f"{_described(recipe, recipe.data.dataset)}: {len(recipe.labels)} labels")
    table.add_row("threat", f"{threat.norm} on {threat.view}, budgets {budgets}, inputs in {threat.domain}")
    if recipe.baseline:
        table.add_row("baseline", ", ".join(recipe.baseline))
    return table


def _networks(recipe: "Recipe") -> "Table":
    table = _table("name", "architecture", "trainer", "certifier", "view")
    for name, spec in recipe.networks.items():
        parts = (spec.architecture, spec.trainer, spec.certifier)
        table.add_row(name, *(_described(recipe, part) for part in parts), spec.view)
    return table


def _nodes(recipe: "Recipe", tree: "LabelTree") -> "Table":
    table = _table("node", "level", "decides", "certifier", "view")
    for place, spec in _placed(recipe, tree):
        reached = recipe.threat.reaches(spec.view)
        certifier = _certified(recipe, spec) if reached else "out of the adversary's reach"
        table.add_row(place["node"], str(place["level"]), _decides(recipe, spec), certifier, spec.view)
    return table


def _certified(recipe: "Recipe", spec: "NodeSpec") -> str:
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
        table.add_row(selector, json.dumps(entry, ensure_ascii=False))
    return table


def _described(recipe: "Recipe", component: "Component | None") -> str:
    """A component in words: its name, and the options that differ from their defaults."""
    if component is None:
        return "none"
    options = _words(component.model_dump(mode="json", exclude_defaults=True))
    return f"{next(iter(recipe.document(component)))}{f' ({options})' if options else ''}"


def _words(options: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in options.items())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return f"({_words(value)})"
    return value if isinstance(value, str) else f"{value:.4g}" if isinstance(value, float) else json.dumps(value)


def _table(*headings: str) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=bool(headings), header_style="dim")
    for heading in headings or ("", ""):
        table.add_column(heading, overflow="fold")
    return table
