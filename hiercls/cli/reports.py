"""A report on the terminal."""

from pathlib import Path
from typing import TYPE_CHECKING

from hiercls.cli.common import console

if TYPE_CHECKING:
    from hiercls.verbs.reporting.findings import Findings


def show_report(findings: "Findings", place: Path) -> None:
    """The headline, the tables that fit a terminal, and where the page is."""
    from hiercls.verbs.reporting.headline import elaboration, headline
    from hiercls.verbs.reporting.terminal import terminal_tables

    page = console()
    for sentence in (headline(findings), elaboration(findings), *findings.warnings):
        page.print(sentence)
    for table in terminal_tables(findings):
        page.print()
        page.print(table)
    page.print(f"\nreport: {place}", soft_wrap=True)
