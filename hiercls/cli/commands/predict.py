"""`hiercls predict`."""

from pathlib import Path

import click

from hiercls.cli.common import opened_run, run_options, show_json


@click.command()
@run_options
@click.option("--index", "indices", type=click.IntRange(min=0), multiple=True, help="A place in the test split.")
@click.option("--file", type=click.Path(path_type=Path), help="A .npy array (N, ...) of the threat's view, raw units.")
def predict(
    path: Path, runs: Path, allow_plugins: bool, device: str, as_json: bool, indices: tuple[int, ...], file: Path | None
) -> None:
    """Answer inputs, with the path that led to each answer; a random node may abstain."""
    from hiercls.verbs.predict import predict as answers

    rows = answers(opened_run(path, runs, allow_plugins, device), indices, file)
    if as_json:
        show_json(rows)
        return
    for row in rows:
        truth = f" (truly {row['truth']})" if "truth" in row else ""
        for system, found in row.items():
            if isinstance(found, dict):
                path_taken = " > ".join(found["path"])
                how = f"abstains at {found['path'][-1]}, one of " if found["abstains"] else ""
                click.echo(f"{row['index']}{truth}  {system}: {how}{', '.join(found['answer'])}  ({path_taken})")
