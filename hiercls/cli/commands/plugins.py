"""`hiercls plugins`."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hiercls.cli.common import console, json_option, plugins_option, show_json
from hiercls.words.errors import ConfigurationError

if TYPE_CHECKING:
    from hiercls.contracts.components import Component
    from hiercls.wiring.registry import Registry

HELP_WIDTH = 110
"""Columns of a text that explains an option."""


@click.command()
@click.argument("config", required=False, type=click.Path(path_type=Path))
@click.option("--explain", metavar="NAME", help="Say what the component of this name does, and its options.")
@plugins_option
@json_option
def plugins(config: Path | None, explain: str | None, allow_plugins: bool, as_json: bool) -> None:
    """List what the installed plugins bring, with CONFIG also those that it names by path."""
    from hiercls.wiring.local_plugins import add_plugins_of
    from hiercls.wiring.registry import Registry

    registry = Registry.load()
    if config is not None:
        add_plugins_of(config, registry, allow_plugins)
    if explain is not None:
        _explain(registry, explain, as_json)
    elif as_json:
        show_json(listing(registry))
    else:
        _print(registry)


def listing(registry: "Registry") -> dict[str, Any]:
    """Everything that is known of the plugins, in JSON's types."""
    return {
        "components": [asdict(spec) | {"plugin": registry.plugin_of(spec).name} for spec in registry.specs()],
        "plugins": [
            asdict(plugin) | {"path": str(plugin.path) if plugin.path else None} for plugin in registry.plugins
        ],
        "broken": [
            {"name": broken.name, "distribution": broken.distribution, "error": broken.error}
            for broken in registry.broken
        ],
    }


def _explain(registry: "Registry", name: str, as_json: bool) -> None:
    """The help and the options of every component of one name; a trainer and a certifier may share it."""
    found = [spec for spec in registry.specs() if spec.name == name]
    if not found:
        raise ConfigurationError(f"plugins: no component is called {name!r}; `hiercls plugins` lists them")
    if as_json:
        show_json({spec.kind: registry.get(spec.kind, name).model_json_schema() for spec in found})
        return
    for spec in found:
        click.echo(f"{spec.kind} {name}\n")
        _tell(registry.get(spec.kind, name))
        click.echo()


def _tell(component: "type[Component]") -> None:
    """What a component does, and of each option its default and its meaning; of a nested one's options the meaning."""
    from hiercls.wiring.meanings import meanings, models_in, purpose

    click.echo(f"{purpose(component)}\n")
    meant = meanings(component)
    for option, field in component.model_fields.items():
        default = None if field.is_required() else _as_yaml(field.get_default(call_default_factory=True))
        click.echo(f"  {option}: {'required' if default is None else f'default {default}'}")
        if option in meant:
            click.echo(click.wrap_text(meant[option], HELP_WIDTH, "    ", "    "))
        for nested in models_in(field.annotation):
            for name, meaning in meanings(nested).items():
                click.echo(click.wrap_text(f"{name}: {meaning}", HELP_WIDTH, "      ", "        "))


def _as_yaml(value: Any) -> str:
    """A default as a YAML would write it, in one line."""
    from io import StringIO

    from pydantic_core import to_jsonable_python
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.width, yaml.sort_base_mapping_type_on_output = 4096, False  # type: ignore[assignment]
    yaml.default_flow_style = True  # type: ignore[assignment]
    text = StringIO()
    yaml.dump(to_jsonable_python(value, inf_nan_mode="constants"), text)
    return text.getvalue().removesuffix("...\n").strip()


def _print(registry: "Registry") -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("kind", "name", "summary", "plugin", "distribution"):
        table.add_column(heading, header_style="bold", overflow="fold")
    for spec in registry.specs():
        plugin = registry.plugin_of(spec)
        table.add_row(spec.kind, spec.name, spec.summary, plugin.name, plugin.distribution)
    page = console()
    page.print(table)
    for plugin in registry.plugins:
        if plugin.path is not None:
            page.print(f"\n{plugin.name}\n  {plugin.path}\n  sha256 {plugin.sha256}")
    for broken in registry.broken:
        page.print(f"\n{broken}", style="red")
