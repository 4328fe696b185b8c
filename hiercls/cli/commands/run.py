"""`hiercls run`."""

from pathlib import Path

import click

from hiercls.cli.common import opened_run, run_options, show_json, told_progress, workers_option
from hiercls.cli.reports import show_report


@click.command()
@run_options
@workers_option
def run(path: Path, runs: Path, allow_plugins: bool, device: str, as_json: bool, workers: int) -> None:
    """Train, evaluate, certify, audit and report: whatever of it is not done yet."""
    from hiercls.verbs.reporting import machine
    from hiercls.verbs.run import run_all

    opened = opened_run(path, runs, allow_plugins, device)
    with told_progress() as progress:
        findings, place = run_all(opened, workers=workers, progress=progress)
    if as_json:
        show_json({"run": str(opened.folder), "report": str(place), **machine.as_json(findings)})
    else:
        show_report(findings, place)
