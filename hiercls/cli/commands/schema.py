"""`hiercls schema`."""

import click

from hiercls.cli.common import show_json


@click.command()
def schema() -> None:
    """Print the JSON schema of a YAML under the installed plugins, for editors."""
    from hiercls.wiring.registry import Registry
    from hiercls.wiring.schema import json_schema

    registry = Registry.load()
    show_json(json_schema(registry))
    for broken in registry.broken:
        click.echo(f"left out: {broken}", err=True)
