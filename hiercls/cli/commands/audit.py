"""`hiercls audit`."""

from pathlib import Path

import click

from hiercls.cli.common import opened_run, run_options, show_json, told_progress


@click.command()
@run_options
@click.option("--inputs", type=click.IntRange(min=1), help="Audit this many inputs in the place of the recipe's.")
def audit(path: Path, runs: Path, allow_plugins: bool, device: str, as_json: bool, inputs: int | None) -> None:
    """Attack every certificate inside its own radius; exit 6 if one is broken."""
    from hiercls.verbs.audit import audit as attack
    from hiercls.verbs.power import UNKNOWN

    run = opened_run(path, runs, allow_plugins, device)
    with told_progress() as progress:
        found = attack(run, inputs=inputs, progress=progress)
    if as_json:
        show_json({"run": str(run.folder), **found})
        return
    systems, power = found["systems"], found["power"]
    assert isinstance(systems, dict)
    assert isinstance(power, dict)
    for name, facts in systems.items():
        flips = len(facts["flips"])
        click.echo(
            f"{name}: 0 certificates broken, {flips} flips on {facts['inputs']} inputs and {facts['radii']} radii"
        )
    for job, share in power.items():
        caught = f"catches {share['caught']} of {share['inflated']} radii inflated by 5%"
        click.echo(f"power on {job}: {caught if share['inflated'] else UNKNOWN}")
