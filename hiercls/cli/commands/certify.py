"""`hiercls certify`."""

from pathlib import Path
from typing import Any

import click

from hiercls.cli.common import opened_run, run_options, show_json, told_progress, workers_option


class ShardType(click.ParamType[tuple[int, int]]):
    """`k/n`: every n-th input, beginning with the k-th, counted from 1."""

    name = "k/n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        number, slash, of = str(value).partition("/")
        if not (slash and number.isdigit() and of.isdigit() and 1 <= int(number) <= int(of)):
            self.fail(f"found {value!r}; write k/n with 1 <= k <= n, such as 1/4", param, ctx)
        return int(number) - 1, int(of)


@click.command()
@run_options
@click.option("--inputs", type=click.IntRange(min=1), help="Certify this many inputs in the place of the recipe's.")
@click.option("--batch", type=click.IntRange(min=1), help="Inputs that a prover has in flight; it changes no result.")
@click.option("--shard", type=ShardType(), default=(0, 1), help="Certify the k-th of n parts of the inputs.")
@click.option("--time", "seconds", type=click.FloatRange(min=0), help="Stop handing out inputs after these seconds.")
@workers_option
def certify(
    path: Path,
    runs: Path,
    allow_plugins: bool,
    device: str,
    as_json: bool,
    inputs: int | None,
    batch: int | None,
    shard: tuple[int, int],
    seconds: float | None,
    workers: int,
) -> None:
    """Prove radii for a trained run, one row an input; what is stored already is not done again."""
    from hiercls.verbs.certify import Shard
    from hiercls.verbs.certify import certify as prove

    run = opened_run(path, runs, allow_plugins, device)
    with told_progress() as progress:
        done = prove(run, inputs, batch, Shard(*shard), seconds, workers, progress)
    if as_json:
        show_json({"run": str(run.folder), **done})
    else:
        click.echo(f"{done['finished']} of {done['inputs']} inputs are certified")
