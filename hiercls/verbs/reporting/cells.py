"""Tables as values: the same cells for the terminal, the page and CSV."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from hiercls.verbs.reporting.rounding import Share, alpha_text, error_text, fraction_text, rounded_down, rounded_up


@dataclass(frozen=True)
class Cell:
    """One entry: how it is shown, and its value in full for CSV (None is an empty field)."""

    shown: str
    value: str | int | float | None
    detail: str = ""


@dataclass(frozen=True)
class Column:
    """A heading, and the level at which the column holds (empty where nothing is claimed)."""

    name: str
    level: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Table:
    """A table of a report; `key` names its CSV file, `legend` explains its columns, a line each."""

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    legend: tuple[str, ...] = ()

    def groups(self) -> list[list[tuple[Cell, ...]]]:
        """Neighbouring rows that open with the same cell."""
        return [list(rows) for _, rows in groupby(self.rows, key=lambda row: row[0])]

    def csv(self) -> str:
        """One header line, then one line a row; floats in full, so that they read back as they were."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(f"{column.name} [{column.level}]" if column.level else column.name for column in self.columns)
        writer.writerows(["" if cell.value is None else cell.value for cell in row] for row in self.rows)
        return file.getvalue()


def text(words: str) -> Cell:
    return Cell(words, words)


def count(number: int) -> Cell:
    return Cell(f"{number:,}", number)


def claimed(share: Share) -> Cell:
    """A certified share, rounded down, with the interval of its fraction."""
    return Cell(share.down(), share.value, share.interval_text())


def observed(share: Share) -> Cell:
    return Cell(share.nearest(), share.value, share.interval_text())


def radius(value: float | None) -> Cell:
    return Cell(rounded_down(value), value)


def size(value: float | None) -> Cell:
    """A mean size of what is conceded, rounded up."""
    return Cell(rounded_up(value), value)


def error(value: float | None) -> Cell:
    """An error given as a fraction, in percent to .01, rounded up."""
    return Cell(error_text(value), value)


def fraction(value: float | None) -> Cell:
    return Cell(fraction_text(value), value)


def level_text(levels: Sequence[tuple[str, str, float]]) -> str:
    """The level of a column from (system, kind, alpha) of every system in it."""
    said = [f"{kind} α {alpha_text(alpha)}" if alpha else "α 0 (deterministic)" for _, kind, alpha in levels]
    if len(set(said)) == 1:
        return said[0]
    return "; ".join(f"{name}: {words}" for (name, _, _), words in zip(levels, said, strict=True))
