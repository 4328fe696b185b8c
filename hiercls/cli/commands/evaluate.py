"""`hiercls evaluate`."""

from pathlib import Path

import click

from hiercls.cli.common import opened_run, run_options, show_json, told_progress


@click.command()
@run_options
@click.option("--inputs", type=click.IntRange(min=1), help="Answer only this many inputs of each system.")
def evaluate(path: Path, runs: Path, allow_plugins: bool, device: str, as_json: bool, inputs: int | None) -> None:
    """Measure clean accuracy, end to end and node by node."""
    from hiercls.verbs.evaluate import evaluate as measure

    run = opened_run(path, runs, allow_plugins, device)
    with told_progress() as progress:
        found = measure(run, inputs=inputs, progress=progress)
    if as_json:
        show_json({"run": str(run.folder), "systems": found})
        return
    for name, facts in found.items():
        right, sets = f"{facts['accuracy']:.2%}", f"{facts['abstained']:.2%}"
        click.echo(f"{name}: {right} of {facts['inputs']} inputs right, {sets} abstained")
        nodes = facts["nodes"]
        assert isinstance(nodes, dict)
        root = next(iter(nodes))
        for node, share in nodes.items():
            given = "" if node == root else ", given its branch"
            click.echo(f"  {node}: " + ("no input comes" if share is None else f"{share:.2%} right{given}"))
