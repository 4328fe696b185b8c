"""`hiercls status`."""

from pathlib import Path

import click

from hiercls.cli.common import console, opened_run, run_options, show_json


@click.command()
@run_options
def status(path: Path, runs: Path, allow_plugins: bool, device: str, as_json: bool) -> None:
    """Tell what of a run is done, and what is left."""
    from rich.table import Table

    from hiercls.verbs.status import status as steps

    run = opened_run(path, runs, allow_plugins, device)
    rows = steps(run)
    if as_json:
        show_json({"run": str(run.folder), "steps": rows})
        return
    table = Table(box=None, pad_edge=False, header_style="dim", title=str(run.folder), title_justify="left")
    for heading in ("step", "name", "done", "of"):
        table.add_column(heading, justify="right" if heading in ("done", "of") else "left")
    for row in rows:
        table.add_row(*("–" if row[key] is None else str(row[key]) for key in ("kind", "name", "done", "of")))
    console().print(table)
