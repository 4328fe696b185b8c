"""One offline page, and its tables as CSV."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hiercls.values.drawing import as_svg
from hiercls.values.records import write_atomic
from hiercls.verbs.reporting.cells import Table
from hiercls.verbs.reporting.confusions import (
    excluded_pairs,
    groups_table,
    pairs_table,
    parting_table,
    remaining_table,
)
from hiercls.verbs.reporting.figures import curve_figure, curves_table, size_figure, sizes_table
from hiercls.verbs.reporting.findings import Findings
from hiercls.verbs.reporting.headline import adversary_sentence, elaboration, headline
from hiercls.verbs.reporting.heatmaps import CROWDED, DRAWN, Map, possible_map, radius_map
from hiercls.verbs.reporting.summaries import (
    affinity_table,
    audit_table,
    audit_verdict,
    audit_warnings,
    evaluation_table,
    metrics_table,
    sampled_table,
)
from hiercls.verbs.reporting.tables import budgets_table, labels_table, nodes_table, radii_table


def write_report(findings: Findings, folder: Path) -> Path:
    """Write `report.html` and `tables/*.csv` into a folder; the same findings give the same bytes.

    Returns:
        The path of the page.

    Raises:
        DataError: the folder cannot be written.
    """
    shown = {table.key: table for table in shown_tables(findings)}
    for table in (*shown.values(), *stored_tables(findings)):
        write_atomic(folder / "tables" / f"{table.key}.csv", table.csv())
    path = folder / "report.html"
    write_atomic(path, render(findings, shown))
    return path


def stored_tables(findings: Findings) -> list[Table]:
    """The tables behind the figures, which the page does not print."""
    if not len(findings):
        return []
    stored = [curves_table(findings), sizes_table(findings), pairs_table(findings)]
    return [*stored, groups_table(findings)] if findings.tree.depth > 1 and not _narrow(findings) else stored


def shown_tables(findings: Findings) -> list[Table]:
    """The tables with rows; without a certified input nothing is said of certificates."""
    tables = [nodes_table(findings), metrics_table(findings), evaluation_table(findings), audit_table(findings)]
    if len(findings):
        tables += [budgets_table(findings), radii_table(findings), labels_table(findings), parting_table(findings)]
        tables += [remaining_table(findings), sampled_table(findings)]
    if len(findings) and findings.tree.depth > 1 and _narrow(findings):
        tables.append(groups_table(findings))
    if len(findings) and findings.affinity:
        tables.append(affinity_table(findings))
    return [table for table in tables if table.rows]


def _narrow(findings: Findings) -> bool:
    """Whether a table with one column for each group of the root can be read on the page."""
    return len(findings.tree.children(findings.tree.root)) <= GROUPS


GROUPS = 12
"""The largest number of groups whose table is printed; the CSV is written for any number."""


def render(findings: Findings, tables: dict[str, Table]) -> str:
    """The page's text."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    certified = len(findings) > 0
    drawable = certified and len(findings.tree.labels) <= DRAWN
    return environment.get_template("report.html.j2").render(
        findings=findings,
        headline=headline(findings),
        elaboration=elaboration(findings),
        adversary=adversary_sentence(findings),
        tables=tables,
        tree=as_svg(findings.tree),
        curves=curve_figure(findings) if certified else None,
        sizes=size_figure(findings) if certified and findings.threat.budgets else None,
        possible=_possible(findings) if drawable else (),
        radii=tuple(radius_map(findings, system) for system in findings.systems) if drawable else (),
        excluded=[excluded_pairs(findings, budget) for budget in findings.threat.budgets],
        verdict=audit_verdict(findings),
        audit_warnings=audit_warnings(findings),
        drawn=DRAWN,
        crowded=len(findings.tree.labels) > CROWDED,
    )


def _possible(findings: Findings) -> tuple[Map, ...]:
    budgets, systems = findings.threat.budgets, findings.systems
    return tuple(possible_map(findings, system, budget) for budget in budgets for system in systems)
