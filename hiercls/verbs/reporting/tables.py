"""The tables of accuracy, radii, labels and nodes."""

from collections.abc import Sequence

import torch

from hiercls.verbs.reporting.cells import (
    Cell,
    Column,
    Table,
    claimed,
    count,
    fraction,
    level_text,
    observed,
    radius,
    size,
    text,
)
from hiercls.verbs.reporting.findings import Findings, System
from hiercls.verbs.reporting.measures import Outcome, Tier, joint_alpha, mean, outcomes, share_of, tiers, totals
from hiercls.verbs.reporting.rounding import Share, budget_text, decimals, norm_text, rounded_down


def joint_level(findings: Findings) -> str:
    return level_text([(system.name, "joint", joint_alpha(system)) for system in findings.systems])


def reading_level(system: System, tier: Tier) -> str:
    return level_text([(system.name, tier.radius.kind, tier.radius.alpha)])


def tier_title(tier: Tier) -> str:
    return "right label" if tier.level is None else f"right group, level {tier.level} ({tier.groups} groups)"


def budgets_table(findings: Findings) -> Table:
    """The main table: what every system answers without an adversary, and keeps under each budget."""
    by_system = [tiers(system, findings.tree) for system in findings.systems]
    adversaries = (0.0, *findings.threat.budgets)
    rows = [
        _outcome_row(findings, outcome, own)
        for budget in adversaries
        for outcome, own in zip(outcomes(findings, budget), by_system, strict=True)
    ]
    joint = joint_level(findings)
    columns = (
        Column("adversary", numeric=False),
        Column("system", numeric=False),
        *(Column(tier_title(tier), _tier_level(findings, by_system, k)) for k, tier in enumerate(by_system[0])),
        Column("mean |S(r)|", joint),
        Column("truth in S(r)", joint),
        Column("information gain", joint),
    )
    title = f"What is proved, on {len(findings):,} inputs and {len(findings.tree.labels)} labels"
    return Table("budgets", title, columns, tuple(rows), _BUDGETS_NOTE, _BUDGETS_LEGEND)


_BUDGETS_NOTE = (
    "Rows with a budget count inputs whose answer is right and proved to stay so: certified accuracy of the label, "
    "and of its group at each level. Claims are rounded down, set sizes up. Small figures: 95% Clopper–Pearson "
    "intervals, for inputs drawn at random."
)

_BUDGETS_LEGEND = (
    "|S(r)|: how many labels an attacker of budget r is not proved unable to cause; without one, those of the answer.",
    "truth in S(r): the share of inputs whose true label is among them; under attack it may still be answered.",
    "information gain: the mean of 1 - ln|S(r)|/ln L over L labels, 0 where the truth is not in S(r).",
)


def _outcome_row(findings: Findings, outcome: Outcome, own: Sequence[Tier]) -> tuple[Cell, ...]:
    gain, adversarial = outcome.gain(), outcome.budget > 0
    shares = [claimed(tier.certified(outcome.budget)) if adversarial else observed(tier.clean()) for tier in own]
    held = (claimed if adversarial else observed)(outcome.holds_truth())
    sets = size(outcome.mean_size()), held, Cell(rounded_down(gain, 3), gain)
    return adversary(findings, outcome.budget), text(outcome.system.name), *shares, *sets


def adversary(findings: Findings, budget: float) -> Cell:
    if budget == 0:
        return Cell("none (clean)", 0.0)
    return Cell(f"{norm_text(findings.threat.norm)} ≤ {budget_text(budget)}", budget)


def _tier_level(findings: Findings, by_system: Sequence[Sequence[Tier]], k: int) -> str:
    readings = [own[k].radius for own in by_system]
    names = [system.name for system in findings.systems]
    return level_text([(name, reading.kind, reading.alpha) for name, reading in zip(names, readings, strict=True)])


def radii_table(findings: Findings) -> Table:
    """How far each guarantee reaches, without reference to a budget."""
    columns = (
        Column("system", numeric=False),
        Column("answer stays", numeric=False),
        Column("holds at", numeric=False),
        Column("mean radius"),
        Column("median radius"),
        Column("mean radius × right"),
        Column("radius 0: no claim"),
        Column("radius infinite"),
    )
    rows = [_radii_row(system, tier) for system in findings.systems for tier in tiers(system, findings.tree)]
    unit = f"{norm_text(findings.threat.norm)} of the view {findings.threat.view}"
    return Table("radii", f"Certified radii, in units of {unit}", columns, tuple(rows), _RADII_NOTE)


_RADII_NOTE = (
    "Means are over finite radii; radii are rounded down. The mean of radius × right, 0 for wrong answers, is the "
    "average certified radius (ACR) of the field."
)


def _radii_row(system: System, tier: Tier) -> tuple[Cell, ...]:
    radii = tier.radius.values
    stays = "the label" if tier.level is None else f"in its level {tier.level} group"
    credited = torch.where(tier.correct, radii, 0.0)[radii.isfinite()]
    return (
        text(system.name),
        text(stays),
        text(reading_level(system, tier)),
        radius(mean(radii[radii.isfinite()])),
        radius(float(radii.median()) if len(radii) else None),
        radius(mean(credited)),
        _plain(share_of(radii == 0)),
        _plain(share_of(radii.isinf())),
    )


def _plain(share: Share, places: int | None = None) -> Cell:
    return Cell(share.nearest(places), share.value)


def labels_table(findings: Findings) -> Table:
    """The first system by true label: which classes carry the guarantee."""
    system = findings.systems[0]
    own = tiers(system, findings.tree)
    shown = (own[0], own[-1]) if len(own) > 1 else own
    columns = [Column("true label", numeric=False), Column("inputs")]
    columns += [Column(f"{tier_title(tier)}, clean") for tier in shown]
    for budget in findings.threat.budgets:
        held_to = adversary(findings, budget).shown
        columns += [Column(f"{tier_title(tier)}, {held_to}", reading_level(system, tier)) for tier in shown]
    rows = [_label_row(findings, shown, label) for label in range(len(system.tree.labels))]
    return Table("labels", f"By true label: {system.name}", tuple(columns), tuple(rows))


def _label_row(findings: Findings, shown: Sequence[Tier], label: int) -> tuple[Cell, ...]:
    here = findings.systems[0].truth == label
    places = decimals(int(totals(findings.systems[0]).max()))
    clean = [share_of(tier.correct[here]) for tier in shown]
    kept = [share_of(tier.holds(budget)[here]) for budget in findings.threat.budgets for tier in shown]
    cells = [_plain(share, places) for share in clean] + [Cell(share.down(places), share.value) for share in kept]
    return text(findings.tree.labels[label]), count(int(here.sum())), *cells


def nodes_table(findings: Findings) -> Table:
    """What decides where, and what it can promise."""
    columns = (
        Column("system", numeric=False),
        Column("node", numeric=False),
        Column("level"),
        Column("decided by", numeric=False),
        Column("view", numeric=False),
        Column("guarantee", numeric=False),
        Column("parameters"),
        Column("right, given its branch"),
    )
    rows = [
        (
            text(system.name),
            Cell(fact.short_name, fact.name),
            count(fact.level),
            text(fact.decides),
            text(fact.view),
            text(fact.guarantee(findings.mask_in_reach)),
            count(fact.parameters),
            fraction(fact.accuracy),
        )
        for system in findings.systems
        for fact in system.nodes
    ]
    return Table("nodes", "What decides where", columns, tuple(rows))
