"""`hiercls tree`."""

from collections.abc import Callable, Mapping
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hiercls.cli.common import opened_recipe, opened_run, plugins_option, run_argument, runs_option

if TYPE_CHECKING:
    from hiercls.values.labels import LabelTree


@click.command()
@run_argument
@click.option("--format", "shape", type=click.Choice(["text", "json", "mermaid", "svg"]), default="text")
@click.option("--freeze", is_flag=True, help="Write the tree as `groups:`, to be put into a YAML.")
@runs_option
@plugins_option
def tree(path: Path, shape: str, freeze: bool, runs: Path, allow_plugins: bool) -> None:
    """Draw the label tree; a derived one once its networks are trained, and below it why it is this one."""
    found, why = opened_recipe(path, allow_plugins).written_tree(), None
    if found is None:
        run = opened_run(path, runs, allow_plugins)
        found, why = run.tree, run.why_tree()
    click.echo(_frozen(found) if freeze else _shapes()[shape](found).rstrip("\n"))
    if why is not None and shape == "text" and not freeze:
        click.echo(f"\n{why}")


def _shapes() -> "Mapping[str, Callable[[LabelTree], str]]":
    from hiercls.values.drawing import as_json, as_mermaid, as_svg, as_text

    return {"text": as_text, "json": as_json, "mermaid": as_mermaid, "svg": as_svg}


def _frozen(tree: "LabelTree") -> str:
    """The tree as the `tree:` section of a YAML."""
    from ruamel.yaml import YAML

    from hiercls.values.groups import groups_of

    yaml, text = YAML(), StringIO()
    yaml.width = 4096
    yaml.dump({"tree": {"groups": groups_of(tree)}}, text)
    return text.getvalue().rstrip("\n")
