"""What the smoothing benchmark found, for people."""

import argparse
from collections.abc import Sequence
from typing import Any


def page(asked: argparse.Namespace, radii: Sequence[float], figures: dict[str, Any]) -> str:
    plain = figures["plain"]
    source = f"{asked.job} of {asked.run.name}" if asked.run else f"untrained {asked.network}"
    compiled = " through torch.compile" if asked.compiled else ""
    first = max(row["seconds of the first pass"] for row in figures["ours"].values())
    lines = [
        "# The cost of a smoothed certificate",
        "",
        f"{source}, {asked.inputs} inputs, sigma {asked.sigma:g}, at most {asked.draws:,} draws an input, alpha "
        f"{asked.alpha:g}; ours in {asked.precision} with {asked.noise} draws{compiled}, the plain loop in float32, on "
        f"{asked.device} with {asked.threads} thread{'s' if asked.threads > 1 else ''}.",
        "",
        "| | draws | seconds | draws saved | times faster | share of its bare network | "
        + " | ".join(f"certified at {radius:g}" for radius in radii)
        + " |",
        "|" + "---|" * (6 + len(radii)),
        _line("plain loop", plain, plain, len(radii)),
        *(_line(f"ours, {name}", row, plain, len(radii)) for name, row in figures["ours"].items()),
        "",
        "A mode that tests one radius proves none above it. The first pass of a network, with any compilation, "
        f"took {first:.1f} s and stands apart. Levers alone, passes a second over those of the plain "
        "network (adaptive draws are the column of draws saved):",
        "",
        *(f"- {name}: {value:.2f}" for name, value in figures["levers"].items()),
        "",
    ]
    return "\n".join(lines)


def _line(name: str, row: dict[str, Any], plain: dict[str, Any], columns: int) -> str:
    shares = row["certified accuracy"] or ["not drawn"] * columns
    shown = [share if isinstance(share, str) else f"{100 * share:.1f}%" for share in shares]
    cells = [
        f"{row['draws']:,}",
        f"{row['seconds']:,.1f}",
        f"{plain['draws'] / row['draws']:.1f}",
        f"{plain['seconds'] / row['seconds']:.1f}",
        f"{100 * row['share of the bare network']:.0f}%",
    ]
    return f"| {name} | " + " | ".join([*cells, *shown]) + " |"
