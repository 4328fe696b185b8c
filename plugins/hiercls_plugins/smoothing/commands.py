"""`hiercls analyse`: what logs of certified inputs say."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hiercls.words.errors import ConfigurationError

if TYPE_CHECKING:
    from hiercls_plugins.smoothing.cohen_log import Entry

DRAWS = 100_000
"""Of an input in the logs that are published."""

STEP = 0.25
"""Between the radii of a table where none are asked for."""


class _Between(click.ParamType):
    """A number between two others, neither of them included."""

    name = "number"

    def __init__(self, low: float, high: float):
        self.low = low
        self.high = high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = _number(value)
        if found is None or not self.low < found < self.high:
            wanted = f"above {self.low:g}" if self.high == inf else f"between {self.low:g} and {self.high:g}"
            self.fail(f"{value!r} is not a number {wanted}", param, ctx)
        return found


class _Radii(click.ParamType):
    """Radii, separated by commas; they come out ascending."""

    name = "radii"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        found = {part: _number(part) for part in value.split(",")}
        for part, radius in found.items():
            if radius is None or not 0 <= radius < inf:
                self.fail(f"{part!r} is not a radius; write them as in 0,0.25,0.5", param, ctx)
        return tuple(sorted({radius for radius in found.values() if radius is not None}))


@dataclass(frozen=True)
class _Question:
    """What is asked of every log; see the options of `analyse`."""

    sigma: float | None
    draws: int
    radii: tuple[float, ...]
    alpha: float | None
    rho: float


@click.command(short_help="Tables of logs in Cohen's format.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--sigma", type=_Between(0, inf), help="The noise of the logs; with it their alpha can be detected.")
@click.option(
    "--draws", type=click.IntRange(min=1), help=f"Estimation draws of an input, beside --sigma.  [default: {DRAWS:,}]"
)
@click.option("--radii", type=_Radii(), help="Rows of the table, as 0,0.25,0.5.  [default: every 0.25]")
@click.option("--alpha", type=_Between(0, 1), help="The level of the certificates, where it is known.")
@click.option(
    "--rho", type=_Between(0, 1), default=0.001, show_default=True, help="The level of the bound on the accuracy."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def analyse(
    files: Sequence[Path],
    sigma: float | None,
    draws: int | None,
    radii: tuple[float, ...] | None,
    alpha: float | None,
    rho: float,
    as_json: bool,
) -> None:
    """Read logs in Cohen's format: certified accuracy at each radius, the average radius, the alpha behind them.

    A certificate fails with probability alpha. The bound says what the certified accuracy on these inputs is not
    below once the failures are taken off, with probability 1 - rho, one radius at a time, where inputs have draws of
    their own.
    """
    from hiercls_plugins.smoothing.cohen_log import read

    if draws is not None and sigma is None:
        raise click.UsageError("--draws serves to detect alpha; give --sigma too")
    logs = {path: read(path) for path in files}
    question = _Question(sigma, draws or DRAWS, radii or _grid(logs.values()), alpha, rho)
    found = [_reading(path, entries, question) for path, entries in logs.items()]
    if as_json:
        click.echo(json.dumps({"logs": found}, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        click.echo("\n\n".join(map(_told, found)))


def _reading(path: Path, entries: "Sequence[Entry]", question: _Question) -> dict[str, Any]:
    """All that is told of one log, in JSON's types."""
    from hiercls_plugins.smoothing.cohen_log import ABSTAINED
    from hiercls_plugins.smoothing.log_readings import average_radius

    detected = _detected(path, entries, question)
    alpha = detected["value"] if question.alpha is None else question.alpha
    return {
        "file": str(path),
        "inputs": len(entries),
        "abstained": sum(entry.predict == ABSTAINED for entry in entries),
        "average_radius": average_radius(entries),
        "alpha": alpha,
        "detected": detected,
        "rho": question.rho,
        "table": _table(entries, question, alpha),
    }


def _detected(path: Path, entries: "Sequence[Entry]", question: _Question) -> dict[str, Any]:
    """What the radii tell about alpha.

    Raises:
        ConfigurationError: the radii are larger than the given alpha allows.
    """
    from hiercls_plugins.smoothing.log_readings import detect_alpha

    if question.sigma is None:
        return {"value": None, "above": 0.0, "reason": "alpha cannot be detected without --sigma"}
    found = detect_alpha(entries, question.sigma, question.draws)
    if question.alpha is not None and question.alpha < found.above:
        raise ConfigurationError(
            f"{path}: its largest radius needs an alpha of at least {found.above:.2g} at sigma {question.sigma:g} "
            f"and {question.draws:,} draws, --alpha says {question.alpha:g}"
        )
    return asdict(found)


def _table(entries: "Sequence[Entry]", question: _Question, alpha: float | None) -> list[dict[str, float | None]]:
    """One row a radius; without an alpha there is no bound."""
    from hiercls_plugins.smoothing.log_readings import accuracy_table, certified_accuracy

    if alpha is not None:
        return [asdict(share) for share in accuracy_table(entries, question.radii, alpha, question.rho)]
    shares = zip(question.radii, certified_accuracy(entries, question.radii).tolist(), strict=True)
    return [{"radius": radius, "accuracy": share, "at_least": None} for radius, share in shares]


def _grid(logs: "Iterable[Sequence[Entry]]") -> tuple[float, ...]:
    """0 and every multiple of STEP up to the largest radius."""
    largest = max(entry.radius for entries in logs for entry in entries)
    return tuple(STEP * k for k in range(int(largest / STEP) + 1))


def _told(reading: dict[str, Any]) -> str:
    """One log for a person: what is claimed is rounded down."""
    from hiercls.verbs.reporting.rounding import rounded_down

    bounded = reading["alpha"] is not None
    lines = [
        f"{reading['file']}: {reading['inputs']:,} inputs, {reading['abstained']:,} abstained",
        f"average certified radius {rounded_down(reading['average_radius'])}, with 0 for a wrong answer or none",
        reading["detected"]["reason"],
        f"the accuracy is at least what is shown, at alpha {reading['alpha']:g}; each bound fails with probability "
        f"{reading['rho']:g}"
        if bounded
        else "without an alpha there is no bound on the accuracy; give --alpha",
    ]
    heads = ("radius", "accuracy", "at least") if bounded else ("radius", "accuracy")
    rows = [heads, *(_cells(row, reading["inputs"], bounded) for row in reading["table"])]
    return "\n".join(lines + ["  ".join(f"{cell:>8}" for cell in row) for row in rows])


def _cells(row: dict[str, Any], inputs: int, bounded: bool) -> tuple[str, ...]:
    from hiercls.verbs.reporting.rounding import Share

    names = ("accuracy", "at_least") if bounded else ("accuracy",)
    return (f"{row['radius']:g}", *(Share(round(row[name] * inputs), inputs).down() for name in names))


def _number(text: Any) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
