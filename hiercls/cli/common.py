"""What commands share: arguments, opening, showing."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hiercls.cli.progress import TerminalProgress

if TYPE_CHECKING:
    from rich.console import Console

    from hiercls.whole.runs import Run
    from hiercls.wiring.recipe import Recipe

PLAIN_WIDTH = 160
"""Columns where the output is no terminal: wide enough that tables do not fold."""

run_argument = click.argument("path", metavar="CONFIG|RUN", type=click.Path(path_type=Path))
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
runs_option = click.option(
    "--runs", default="runs", show_default=True, type=click.Path(path_type=Path), help="The folder that holds runs."
)
plugins_option = click.option(
    "--allow-plugins", is_flag=True, help="Also load plugins from outside the folder of the YAML that names them."
)
device_option = click.option(
    "--device", default="cpu", show_default=True, help="cpu, cuda or cuda:k. Proofs belong to the kind that made them."
)
workers_option = click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(min=1), help="Processes that work at the same time."
)


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The argument and the options of every command that works on a run."""
    for decorate in (json_option, device_option, plugins_option, runs_option, run_argument):
        command = decorate(command)
    return command


def data_root() -> Path | None:
    """The folder that holds datasets: HIERCLS_DATA."""
    found = os.environ.get("HIERCLS_DATA")
    return Path(found).expanduser() if found else None


def opened_recipe(path: Path, allow_plugins: bool) -> "Recipe":
    """The recipe of a YAML, or of the run folder that one made."""
    from hiercls.wiring.recipe import RESOLVED, load_recipe

    folder = path.is_dir()
    return load_recipe(path / RESOLVED if folder else path, allow_plugins=folder or allow_plugins, root=data_root())


def opened_run(path: Path, runs: Path, allow_plugins: bool, device: str = "cpu") -> "Run":
    """The run of a YAML, or of the folder that one made; tells on stderr what changed since, and what to mind."""
    from hiercls.verbs.memory import keep_freed_memory
    from hiercls.whole.runs import open_run
    from hiercls.wiring.cautions import cautions
    from hiercls.wiring.registry import Registry

    keep_freed_memory()
    run = open_run(path, Registry.load(), data_root(), root=runs, allow_plugins=allow_plugins, device=device)
    if run.changed:
        click.echo(f"changed since the last time: {', '.join(run.changed)}; what they touch is done again", err=True)
    for caution in cautions(run.recipe, run.known_tree()):
        click.echo(f"warning: {caution}", err=True)
    return run


@contextmanager
def told_progress() -> Iterator[TerminalProgress]:
    """Progress on stderr while a verb works."""
    progress = TerminalProgress()
    try:
        yield progress
    finally:
        progress.close()


def console() -> "Console":
    """The terminal, or a wide page where the output goes elsewhere."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False, markup=False, emoji=False)


def show_json(value: Any) -> None:
    """JSON on stdout; infinite numbers are written as text, for JSON has none."""
    click.echo(json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return str(value) if isinstance(value, float) and value - value != 0 else value
