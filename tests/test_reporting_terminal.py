"""The terminal shows the numbers of the tables, and their levels below."""

import io

from reporting_toys import findings, rich_findings

from hiercls.verbs.reporting import tables, terminal
from hiercls.verbs.reporting.terminal import terminal_tables


def test_the_terminal_shows_the_same_numbers():
    from rich.console import Console

    console = Console(width=240, file=io.StringIO())
    found = rich_findings()
    for table in terminal_tables(found):
        console.print(table)
    shown = console.file.getvalue()
    for row in tables.budgets_table(found).rows:
        assert all(cell.shown in shown for cell in row)
    assert "joint α 0.003" in shown
    assert "60 inputs" in shown


def test_levels_stand_below_a_terminal_table():
    table = tables.budgets_table(findings(alpha=0.001))
    assert terminal.level_lines(table) == (
        "level of right group, level 1 (2 groups) | right group, level 2 (4 groups): "
        "tree: path α 0.001; flat: joint α 0.001",
        "level of right label: path α 0.001",
        "level of mean |S(r)| | truth in S(r) | information gain: tree: joint α 0.003; flat: joint α 0.001",
    )
    assert terminal.level_lines(tables.budgets_table(findings())) == ("level of every claim: α 0 (deterministic)",)
    assert terminal.level_lines(tables.nodes_table(findings())) == ()
