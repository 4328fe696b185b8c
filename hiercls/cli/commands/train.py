"""`hiercls train`."""

from pathlib import Path

import click

from hiercls.cli.common import opened_run, run_options, show_json, told_progress, workers_option


@click.command()
@run_options
@click.option("--only", metavar="NETWORK", help="Train this one network.")
@workers_option
def train(
    path: Path, runs: Path, allow_plugins: bool, device: str, as_json: bool, only: str | None, workers: int
) -> None:
    """Train the networks that are not trained yet; an interrupted training goes on where it was."""
    from hiercls.verbs.train import train as train_networks

    run = opened_run(path, runs, allow_plugins, device)
    with told_progress() as progress:
        done = train_networks(run, only=only, workers=workers, progress=progress)
    if as_json:
        show_json({"run": str(run.folder), "trained": done})
        return
    for name, trained in done.items():
        click.echo(f"{name}: {'trained' if trained else 'was trained already'}")
