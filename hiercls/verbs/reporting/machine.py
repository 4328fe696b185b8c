"""The report for programs: every table in full precision, one value that JSON can hold."""

from itertools import count
from math import isinf
from typing import Any

from hiercls.verbs.reporting.cells import Cell, Table
from hiercls.verbs.reporting.findings import Findings
from hiercls.verbs.reporting.headline import headline
from hiercls.verbs.reporting.page import shown_tables, stored_tables
from hiercls.verbs.reporting.summaries import audit_warnings


def as_json(findings: Findings) -> dict[str, Any]:
    """Everything the report says, as plain values.

    Numbers are in full precision, shares are fractions, infinity is the string "inf", and None stands where
    there is no value.

    Returns:
        `title`, `headline`, `inputs` (their number), `threat`, `warnings` (of the run, then of its audit), `tables`
        (key -> rows, each column name -> value) and `levels` (key -> column name -> level, where one is claimed).
    """
    tables = (*shown_tables(findings), *stored_tables(findings))
    return {
        "title": findings.title,
        "headline": headline(findings),
        "inputs": len(findings),
        "threat": _threat(findings),
        "warnings": [*findings.warnings, *audit_warnings(findings)],
        "tables": {table.key: _rows(table) for table in tables},
        "levels": {table.key: _levels(table) for table in tables},
    }


def _threat(findings: Findings) -> dict[str, Any]:
    threat = findings.threat
    return {
        "norm": str(threat.norm),
        "view": threat.view,
        "budgets": list(threat.budgets),
        "domain": str(threat.domain),
        "mask_in_reach": findings.mask_in_reach,
    }


def _rows(table: Table) -> list[dict[str, Any]]:
    names = _names(table)
    return [dict(zip(names, map(_value, row), strict=True)) for row in table.rows]


def _levels(table: Table) -> dict[str, str]:
    named = zip(_names(table), table.columns, strict=True)
    return {name: column.level for name, column in named if column.level}


def _names(table: Table) -> list[str]:
    """The column names; a label that is called as an earlier column gets a number, so that no column is lost."""
    names: list[str] = []
    for column in table.columns:
        candidates = (f"{column.name} ({k})" if k > 1 else column.name for k in count(1))
        names.append(next(name for name in candidates if name not in names))
    return names


def _value(cell: Cell) -> str | int | float | None:
    return str(cell.value) if isinstance(cell.value, float) and isinf(cell.value) else cell.value
