"""Logs in the format of Cohen et al. 2019: one line an input, tab-separated, with a header.

    idx  label  predict  radius  correct  time

`predict` is -1 and `radius` 0 where the classifier abstains. Times come in two notations, seconds (`15.4`)
and clock (`0:00:13.736080`); both are read, and an empty cell where the time is not known.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from math import isfinite
from pathlib import Path
from typing import Literal

from hiercls.values.records import write_atomic
from hiercls.words.errors import DataError

HEADER = ("idx", "label", "predict", "radius", "correct", "time")
ABSTAINED = -1

_CLOCK = re.compile(r"(?:(\d+) days?, )?(\d+):([0-5]\d):([0-5]\d(?:\.\d+)?)")
_SECONDS = re.compile(r"\d+(?:\.\d*)?(?:[eE][+-]?\d+)?")
_WHOLE = re.compile(r"-?\d+")


@dataclass(frozen=True)
class Entry:
    """One certified input.

    Attributes:
        index: its place in the split.
        predict: the answer, ABSTAINED without one.
        radius: certified l2 radius in units of the view, 0 for an abstention.
        seconds: what it took; None where that is not known.
    """

    index: int
    label: int
    predict: int
    radius: float
    seconds: float | None

    def __post_init__(self) -> None:
        if not (isfinite(self.radius) and self.radius >= 0):
            raise ValueError(f"radius {self.radius!r} is not a finite number of at least 0")
        if self.predict == ABSTAINED and self.radius > 0:
            raise ValueError(f"an abstention has no radius, found {self.radius!r}")

    @property
    def correct(self) -> bool:
        return self.predict == self.label


def read(path: Path) -> list[Entry]:
    """The entries of a log.

    Raises:
        DataError: it cannot be read, or a line is not of the format; the sentence names file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not text: {error.reason}") from error
    return parse(text, str(path))


def parse(text: str, name: str) -> list[Entry]:
    """The entries of a log's text; errors call it `name`."""
    lines = text.splitlines()
    if not lines or tuple(lines[0].split("\t")) != HEADER:
        raise DataError(
            f"{name}:1: not a log of certified inputs; its header must be {' '.join(HEADER)}, tab-separated"
        )
    entries = list(_entries(lines[1:], name))
    if not entries:
        raise DataError(f"{name}:1: no input follows the header")
    return entries


def write(path: Path, entries: list[Entry], time: Literal["clock", "seconds"] = "clock") -> None:
    """Write a whole log or nothing. Radii are written in full, so that none is rounded up."""
    write_atomic(path, render(entries, time))


def render(entries: list[Entry], time: Literal["clock", "seconds"] = "clock") -> str:
    """The text of a log."""
    lines = ["\t".join(HEADER)]
    for entry in entries:
        cells = (
            entry.index,
            entry.label,
            entry.predict,
            repr(entry.radius),
            int(entry.correct),
            _taken(entry.seconds, time),
        )
        lines.append("\t".join(map(str, cells)))
    return "\n".join(lines) + "\n"


def _entries(lines: list[str], name: str) -> Iterator[Entry]:
    seen: dict[int, int] = {}
    for number, line in enumerate(lines, 2):
        try:
            entry = _entry(line)
        except ValueError as error:
            raise DataError(f"{name}:{number}: {error}") from error
        if entry.index in seen:
            raise DataError(f"{name}:{number}: input {entry.index} is already in line {seen[entry.index]}")
        seen[entry.index] = number
        yield entry


def _entry(line: str) -> Entry:
    cells = line.split("\t")
    if len(cells) != len(HEADER):
        raise ValueError(f"found {len(cells)} columns instead of {len(HEADER)}")
    index, label, predict, correct = (
        _whole(column, cell) for column, cell in zip(HEADER, cells, strict=True) if column not in ("radius", "time")
    )
    entry = Entry(index, label, predict, _radius(cells[3]), _seconds(cells[5]))
    if correct != int(entry.correct):
        raise ValueError(f"correct is {correct}, but label {label} was answered {predict}")
    return entry


def _whole(column: str, cell: str) -> int:
    if not _WHOLE.fullmatch(cell):
        raise ValueError(f"{column} {cell!r} is not a whole number")
    return int(cell)


def _radius(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise ValueError(f"radius {cell!r} is not a number") from None


def _taken(seconds: float | None, time: Literal["clock", "seconds"]) -> str:
    if seconds is None:
        return ""
    return str(timedelta(seconds=seconds)) if time == "clock" else repr(seconds)


def _seconds(cell: str) -> float | None:
    if not cell:
        return None
    if _SECONDS.fullmatch(cell):
        return float(cell)
    clock = _CLOCK.fullmatch(cell)
    if clock is None:
        raise ValueError(f"time {cell!r} is neither seconds, such as 15.4, nor a clock, such as 0:00:15.400000")
    days, hours, minutes, seconds = clock.groups()
    return (int(days or 0) * 24 + int(hours)) * 3600 + int(minutes) * 60 + float(seconds)
