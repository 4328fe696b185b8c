"""The shorter tables: metrics, affinity, sampled proofs, the audit."""

from collections.abc import Iterable
from typing import Any

import torch

from hiercls.values.labels import Node
from hiercls.values.readings import affinity_radius
from hiercls.verbs.reporting.cells import Cell, Column, Table, claimed, count, error, fraction, text
from hiercls.verbs.reporting.confusions import system_level
from hiercls.verbs.reporting.findings import Findings, System
from hiercls.verbs.reporting.measures import Tier, share_of, tiers
from hiercls.verbs.reporting.rounding import Share, alpha_text
from hiercls.verbs.reporting.tables import adversary, reading_level, tier_title

CONFIDENCE = 0.999
"""The confidence of statements about the whole sample of sampled proofs."""


def metrics_table(findings: Findings) -> Table:
    """The metrics that plugins measured, one row each."""
    names = list(dict.fromkeys(name for measured in findings.metrics.values() for name in measured))
    levels = {system.name: system_level(system) for system in findings.systems}
    columns = Column("metric", numeric=False), *(Column(system, levels[system]) for system in findings.metrics)
    rows = [(text(name), *(error(measured.get(name)) for measured in findings.metrics.values())) for name in names]
    note = "Errors, rounded up. Each level is the largest at which any of the column's figures holds."
    return Table("metrics", "Metrics", columns, tuple(rows), note)


def affinity_table(findings: Findings) -> Table:
    """Answers that stay inside one of the given label sets."""
    sets = tuple(findings.affinity.values())
    columns = (
        Column("adversary", numeric=False),
        Column("system", numeric=False),
        Column("level", numeric=False),
        Column("stays in a set"),
        Column("stays in a set that holds the truth"),
    )
    rows = []
    for budget in findings.threat.budgets:
        for system in findings.systems:
            stays = affinity_radius(system.certificates, sets).values >= budget
            right = _affine_to_truth(system, sets) >= budget
            head = adversary(findings, budget), text(system.name), text(system_level(system))
            rows.append((*head, claimed(share_of(stays)), claimed(share_of(right))))
    members = "; ".join(
        f"{name}: {', '.join(findings.tree.labels[label] for label in sorted(group))}"
        for name, group in findings.affinity.items()
    )
    return Table("affinity", "Answer affinity", columns, tuple(rows), f"Sets: {members}.")


def _affine_to_truth(system: System, sets: Iterable[Node]) -> torch.Tensor:
    """(N,) the largest affinity radius over the sets that hold the true label; 0 where none does."""
    best = torch.zeros(len(system), dtype=torch.float64)
    for group in sets:
        holds = torch.isin(system.truth, torch.tensor(sorted(group)))
        radius = affinity_radius(system.certificates, [group]).values
        best = torch.where(holds, torch.maximum(best, radius), best)
    return best


def sampled_table(findings: Findings) -> Table:
    """What sampled proofs say of all inputs together: at most q of them are wrong, with high probability.

    The mean less q/N, q the quantile of Binomial(N, alpha); the draws of different inputs are independent.
    """
    columns = (
        Column("adversary", numeric=False),
        Column("system", numeric=False),
        Column("answer", numeric=False),
        Column("each at", numeric=False),
        Column("certified"),
        Column("wrong at most"),
        Column(f"holds with probability {CONFIDENCE:.1%}"),
    )
    rows = [
        (adversary(findings, budget), *_sampled_row(system, tier, budget))
        for budget in findings.threat.budgets
        for system in findings.systems
        for tier in tiers(system, findings.tree)
        if tier.radius.alpha > 0
    ]
    return Table("sampled", "Sampled proofs, all inputs together", columns, tuple(rows), _SAMPLED_NOTE)


_SAMPLED_NOTE = (
    f"Each sampled certificate may be wrong with probability α. With probability at least {CONFIDENCE:.1%} over the "
    "draws, no more than q of the N certificates are, q the quantile of Binomial(N, α): the true certified share is "
    "at least the certified one less q/N. This needs draws that are independent between inputs, as they are here."
)


def _sampled_row(system: System, tier: Tier, budget: float) -> tuple[Cell, ...]:
    found = tier.certified(budget)
    wrong = wrong_at_most(found.total, tier.radius.alpha)
    kept = Share(max(found.count - wrong, 0), found.total)
    head = text(system.name), text(tier_title(tier)), text(reading_level(system, tier))
    return *head, Cell(found.down(), found.value), count(wrong), Cell(kept.down(), kept.value)


def wrong_at_most(inputs: int, alpha: float) -> int:
    """How many of the certificates are wrong at most, with probability `CONFIDENCE`."""
    from scipy.stats import binom

    return int(binom.ppf(CONFIDENCE, inputs, alpha)) if inputs else 0


def evaluation_table(findings: Findings) -> Table:
    """Clean figures of the systems as they answer when deployed."""
    rows = [(text(name), fraction(value)) for name, value in (findings.evaluation or {}).items()]
    columns = Column("figure", numeric=False), Column("value")
    return Table("evaluation", "Clean, as deployed", columns, tuple(rows), legend=(_EVALUATION_LEGEND,))


_EVALUATION_LEGEND = (
    "Smoothed nodes may abstain when they predict (an abstaining answer is a set of labels, counted as not right), "
    "while the table of what is proved follows the children named by selection draws."
)


def audit_table(findings: Findings) -> Table:
    """The audit as it was run, one fact a row."""
    facts = [(name, value) for name, value in (findings.audit or {}).items() if name != "warnings"]
    rows = [(text(name), Cell(_fact(name, value), _plain(value))) for name, value in facts]
    return Table("audit", "Audit", (Column("fact", numeric=False), Column("value")), tuple(rows))


def audit_verdict(findings: Findings) -> str:
    """One sentence on the audit; says so where there was none."""
    if findings.audit is None:
        return "No audit was run: nobody tried to break these certificates."
    breaks, allowed, broken = (findings.audit[fact] for fact in ("breaks", "allowed", "broken"))
    verdict = "no certificate is broken" if broken == "none" else f"certificates are broken: {broken}"
    return f"Inputs with a flip inside a certified radius: {breaks:,}; allowed by chance: {allowed:,}; {verdict}."


def audit_warnings(findings: Findings) -> tuple[str, ...]:
    """What the audit could not have found, one sentence each."""
    return tuple((findings.audit or {}).get("warnings", ()))


def _fact(name: str, value: Any) -> str:
    if name == "power":
        return fraction(value).shown
    if name == "level":
        return alpha_text(value)
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float | str) else str(value)
