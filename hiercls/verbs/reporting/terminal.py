"""The same tables for the terminal."""

from typing import TYPE_CHECKING

from hiercls.verbs.reporting.cells import Column, Table
from hiercls.verbs.reporting.confusions import parting_table
from hiercls.verbs.reporting.findings import Findings
from hiercls.verbs.reporting.summaries import (
    affinity_table,
    audit_table,
    evaluation_table,
    metrics_table,
    sampled_table,
)
from hiercls.verbs.reporting.tables import budgets_table, nodes_table, radii_table

if TYPE_CHECKING:
    import rich.table
    import rich.text


def terminal_tables(findings: Findings) -> "list[rich.table.Table]":
    """The tables that fit a terminal, the main one first; those without rows are left out."""
    tables = [nodes_table(findings), evaluation_table(findings), metrics_table(findings), audit_table(findings)]
    if len(findings):
        proved = [budgets_table(findings), parting_table(findings), radii_table(findings), sampled_table(findings)]
        tables = proved + tables
    if len(findings) and findings.affinity:
        tables.append(affinity_table(findings))
    return [_rich(table) for table in tables if table.rows]


def _rich(table: Table) -> "rich.table.Table":
    import rich.box
    import rich.table
    from rich.text import Text

    drawn = rich.table.Table(title=Text(table.title), box=rich.box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for column in table.columns:
        drawn.add_column(_heading(column), justify="right" if column.numeric else "left", overflow="fold")
    for row in table.rows:
        drawn.add_row(*(Text(cell.shown) for cell in row))
    return drawn


def _heading(column: Column) -> "rich.text.Text":
    from rich.text import Text

    heading = Text(column.name)
    return heading.append(f"\n{column.level}", style="dim") if column.level else heading
