"""`hiercls plugins`."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hiercls.cli.common import console, json_option, plugins_option, show_json

if TYPE_CHECKING:
    from hiercls.wiring.registry import Registry


@click.command()
@click.argument("config", required=False, type=click.Path(path_type=Path))
@plugins_option
@json_option
def plugins(config: Path | None, allow_plugins: bool, as_json: bool) -> None:
    """List what the installed plugins bring, with CONFIG also those that it names by path."""
    from hiercls.wiring.local_plugins import add_plugins_of
    from hiercls.wiring.registry import Registry

    registry = Registry.load()
    if config is not None:
        add_plugins_of(config, registry, allow_plugins)
    if as_json:
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
