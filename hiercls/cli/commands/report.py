"""`hiercls report`."""

from pathlib import Path

import click

from hiercls.cli.common import opened_run, run_options, show_json
from hiercls.cli.reports import show_report


@click.command()
@run_options
def report(path: Path, runs: Path, allow_plugins: bool, device: str, as_json: bool) -> None:
    """Write tables and one HTML page of what is certified so far, and show the tables."""
    from hiercls.verbs.report import report as write
    from hiercls.verbs.reporting import machine

    run = opened_run(path, runs, allow_plugins, device)
    findings, place = write(run)
    if as_json:
        show_json({"run": str(run.folder), "report": str(place), **machine.as_json(findings)})
    else:
        show_report(findings, place)
