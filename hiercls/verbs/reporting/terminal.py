"""The same tables for the terminal."""

from typing import TYPE_CHECKING

from hiercls.verbs.reporting.cells import Table
from hiercls.verbs.reporting.confusions import parting_table
from hiercls.verbs.reporting.findings import Findings
from hiercls.verbs.reporting.summaries import (
    affinity_table,
    audit_table,
    audit_verdict,
    audit_warnings,
    evaluation_table,
    metrics_table,
    sampled_table,
)
from hiercls.verbs.reporting.tables import budgets_table, nodes_table, radii_table

if TYPE_CHECKING:
    import rich.console


def terminal_tables(findings: Findings) -> "list[rich.console.Group]":
    """The tables that fit a terminal, the main one first, each with the lines that explain it.

    Tables without rows are left out.
    """
    tables = [nodes_table(findings), evaluation_table(findings), metrics_table(findings), audit_table(findings)]
    if len(findings):
        proved = [budgets_table(findings), parting_table(findings), radii_table(findings), sampled_table(findings)]
        tables = proved + tables
    if len(findings) and findings.affinity:
        tables.append(affinity_table(findings))
    told = {"audit": (audit_verdict(findings), *audit_warnings(findings))}
    return [_drawn(table, told.get(table.key, ())) for table in tables if table.rows]


def _drawn(table: Table, told: tuple[str, ...]) -> "rich.console.Group":
    """A table, what is told of it, and in fainter lines its levels and its legend."""
    import rich.box
    import rich.table
    from rich.console import Group
    from rich.text import Text

    drawn = rich.table.Table(title=Text(table.title), box=rich.box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for column in table.columns:
        drawn.add_column(Text(column.name), justify="right" if column.numeric else "left", overflow="fold")
    for row in table.rows:
        drawn.add_row(*(Text(cell.shown) for cell in row))
    faint = (Text(line, style="dim") for line in (*level_lines(table), *table.legend))
    return Group(drawn, *(Text(line) for line in told), *faint)


def level_lines(table: Table) -> tuple[str, ...]:
    """One line for each level in a table: the level, and the columns that hold at it."""
    levels: dict[str, list[str]] = {}
    for column in table.columns:
        if column.level:
            levels.setdefault(column.level, []).append(column.name)
    if len(levels) == 1:
        return tuple(f"level of every claim: {level}" for level in levels)
    return tuple(f"level of {' | '.join(names)}: {level}" for level, names in levels.items())
