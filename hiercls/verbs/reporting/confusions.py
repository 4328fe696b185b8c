"""Which confusions an attacker of a given budget can still cause."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from hiercls.values.labels import LabelTree, Node
from hiercls.verbs.reporting.cells import Cell, Column, Table, count, level_text, text
from hiercls.verbs.reporting.findings import Findings, System
from hiercls.verbs.reporting.measures import Outcome, joint_alpha, outcomes, totals
from hiercls.verbs.reporting.rounding import Share, decimals
from hiercls.verbs.reporting.tables import adversary, joint_level

LISTED = 10
"""How many of the most frequent remaining confusions are listed for each budget."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """The ordered pairs (true label, other label) of a tree.

    Attributes:
        truth, label: (P,) int64.
        parted: the place in `tree.decisions` of the node that tells the two apart, (P,).
    """

    truth: torch.Tensor
    label: torch.Tensor
    parted: torch.Tensor

    def __len__(self) -> int:
        return len(self.truth)


def pairs(tree: LabelTree) -> Pairs:
    """All ordered pairs of different labels, with the node at which their paths part."""
    size = len(tree.labels)
    parted = torch.full((size, size), -1, dtype=torch.int64)
    for place, node in enumerate(tree.decisions):
        for child in tree.children(node):
            parted[_grid(child, node - child)] = place
    truth, label = torch.where(parted >= 0)
    return Pairs(truth, label, parted[truth, label])


def _grid(rows: Node, columns: Node) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(sorted(rows))[:, None], torch.tensor(sorted(columns))[None, :]


def parting_table(findings: Findings) -> Table:
    """For every budget and decision: how many confusions between its children remain possible."""
    first = findings.systems[0]
    columns = (
        Column("adversary", numeric=False),
        Column("paths part at", numeric=False),
        Column("level"),
        Column("pairs (input, other label)"),
        *(Column(f"{system.name}: still possible", system_level(system)) for system in findings.systems),
        Column(f"most frequent one ({first.name})", numeric=False),
    )
    rows = [row for budget in findings.threat.budgets for row in _parting_rows(findings, budget)]
    title = "Where confusions remain: the node at which true label and answer part"
    return Table("partings", title, columns, tuple(rows), _PARTING_NOTE)


def _parting_rows(findings: Findings, budget: float) -> Iterator[tuple[Cell, ...]]:
    tree, between = findings.tree, pairs(findings.tree)
    counted = [outcome.confusions for outcome in outcomes(findings, budget)]
    spots: list[tuple[str, int | None, torch.Tensor]]
    spots = [("anywhere", None, between.parted >= 0)] if len(tree.decisions) > 1 else []
    for place, node in enumerate(tree.decisions):
        spots.append((tree.short_name(node), tree.level(node), between.parted == place))
    places = decimals(len(findings) * (len(tree.labels) - 1))
    for name, level, here in spots:
        shares = [_possible(findings, one, between, here) for one in counted]
        head = adversary(findings, budget), text(name), Cell("" if level is None else str(level), level)
        worst = text(_worst(findings, counted[0], between, here))
        yield *head, count(shares[0].total), *(conceded(share, places) for share in shares), worst


_PARTING_NOTE = (
    "Of all pairs (input, other label) that part at the node, the share that an attacker of this budget is not "
    "proved unable to cause: the label lies in S(r). Rounded up."
)


def remaining_table(findings: Findings) -> Table:
    """The most frequent confusions that each budget leaves possible."""
    first = findings.systems[0]
    columns = (
        Column("adversary", numeric=False),
        Column("true label", numeric=False),
        Column("can be answered as", numeric=False),
        Column("paths part at", numeric=False),
        Column("inputs of that label"),
        *(Column(f"{system.name}: possible for", system_level(system)) for system in findings.systems),
        Column(f"{first.name}: clean"),
    )
    rows = [row for budget in findings.threat.budgets for row in _remaining_rows(findings, budget)]
    return Table("confusions", "The most frequent confusions that remain possible", columns, tuple(rows), _LISTED_NOTE)


def _remaining_rows(findings: Findings, budget: float) -> Iterator[tuple[Cell, ...]]:
    tree, between, first = findings.tree, pairs(findings.tree), findings.systems[0]
    counted = [outcome.confusions[between.truth, between.label] for outcome in outcomes(findings, budget)]
    seen = Outcome(first, 0.0).confusions[between.truth, between.label]
    of = totals(first)[between.truth]
    places = decimals(int(of.max()))
    for pair in _most_frequent(counted[0], seen, of):
        names = (text(tree.labels[int(side[pair])]) for side in (between.truth, between.label))
        node = text(tree.short_name(tree.decisions[int(between.parted[pair])]))
        shares = (conceded(Share(int(one[pair]), int(of[pair])), places) for one in counted)
        clean = Share(int(seen[pair]), int(of[pair]))
        head = adversary(findings, budget), *names, node, count(clean.total)
        yield *head, *shares, Cell(clean.nearest(places), clean.value)


_LISTED_NOTE = (
    f"At most {LISTED} a budget, by share of the inputs of the true label, then by how often the confusion happens "
    "without an adversary. Shares are rounded up."
)


def groups_table(findings: Findings) -> Table:
    """Every pair of groups of the root: the inputs of each (rows) that can be answered in each (columns)."""
    tree = findings.tree
    groups = tree.children(tree.root)
    columns = (
        Column("adversary", numeric=False),
        Column("system", numeric=False),
        Column("true group", numeric=False),
        Column("inputs"),
        *(Column(tree.short_name(group), joint_level(findings)) for group in groups),
        Column("some other group", joint_level(findings)),
    )
    rows = [row for budget in (0.0, *findings.threat.budgets) for row in _group_rows(findings, groups, budget)]
    title = "Inputs of each group that can be answered in each group"
    return Table("groups", title, columns, tuple(rows), _GROUPS_NOTE)


_GROUPS_NOTE = (
    "Counts of inputs with a label of the group in S(r), in the groups of the tree's root for every system; an input "
    "may count in several groups. Without an adversary: of the labels that are answered."
)


def _group_rows(findings: Findings, groups: Sequence[Node], budget: float) -> Iterator[tuple[Cell, ...]]:
    for outcome in outcomes(findings, budget):
        reached = torch.stack([outcome.sets[:, sorted(group)].any(dim=1) for group in groups], dim=1)
        for place, group in enumerate(groups):
            here = reached[torch.isin(outcome.system.truth, torch.tensor(sorted(group)))]
            elsewhere = here[:, [other for other in range(len(groups)) if other != place]].any(dim=1)
            numbers = (len(here), *here.sum(dim=0).tolist(), int(elsewhere.sum()))
            head = adversary(findings, budget), text(outcome.system.name), text(findings.tree.short_name(group))
            yield *head, *(count(number) for number in numbers)


def pairs_table(findings: Findings) -> Table:
    """Every pair of labels: the inputs of each true label (rows) that can be answered as each label (columns)."""
    columns = (
        Column("adversary", numeric=False),
        Column("system", numeric=False),
        Column("true label", numeric=False),
        Column("inputs"),
        *(Column(label) for label in findings.tree.labels),
    )
    rows = []
    for budget in (0.0, *findings.threat.budgets):
        for outcome in outcomes(findings, budget):
            head = adversary(findings, budget), text(outcome.system.name)
            of = totals(outcome.system).tolist()
            for label, counts in enumerate(outcome.confusions.tolist()):
                counted = (count(number) for number in (of[label], *counts))
                rows.append((*head, text(findings.tree.labels[label]), *counted))
    return Table("pairs", "Inputs of each true label that can be answered as each label", columns, tuple(rows))


def excluded_pairs(findings: Findings, budget: float) -> str:
    """How many ordered pairs of labels the budget leaves, in one sentence."""
    between = pairs(findings.tree)
    counted = Outcome(findings.systems[0], budget).confusions[between.truth, between.label]
    of = totals(findings.systems[0])[between.truth]
    counted, of = counted[of > 0], of[of > 0]
    never, always = int((counted == 0).sum()), int((counted == of).sum())
    return (
        f"Under {adversary(findings, budget).shown}, {never:,} of {len(counted):,} ordered pairs of different labels "
        f"are excluded for every input, and {always:,} remain possible for every input."
    )


def conceded(share: Share, places: int) -> Cell:
    """A share that is not excluded, rounded up."""
    return Cell(share.up(places), share.value)


def system_level(system: System) -> str:
    return level_text([(system.name, "joint", joint_alpha(system))])


def _possible(findings: Findings, counted: torch.Tensor, between: Pairs, here: torch.Tensor) -> Share:
    truth, label = between.truth[here], between.label[here]
    return Share(int(counted[truth, label].sum()), int(totals(findings.systems[0])[truth].sum()))


def _worst(findings: Findings, counted: torch.Tensor, between: Pairs, here: torch.Tensor) -> str:
    """The most frequent of some confusions; where several are equally frequent, how many they are."""
    truth, label = between.truth[here], between.label[here]
    of = totals(findings.systems[0])
    rate = counted[truth, label].double() / of[truth].clamp_min(1)
    best = int(rate.argmax())
    if rate[best] == 0:
        return "none"
    share = Share(int(counted[truth[best], label[best]]), int(of[truth[best]])).up(decimals(int(of.max())))
    tied, labels = int((rate == rate[best]).sum()), findings.tree.labels
    if tied > 1:
        return f"{tied:,} pairs at {share}"
    return f"{labels[int(truth[best])]} → {labels[int(label[best])]}, {share}"


def _most_frequent(counted: torch.Tensor, seen: torch.Tensor, of: torch.Tensor) -> list[int]:
    """The places of the most frequent pairs; ties by what is seen without an adversary, then in label order."""
    rate, clean = counted.double() / of.clamp_min(1), seen.double() / of.clamp_min(1)
    order = sorted(range(len(counted)), key=lambda pair: (-float(rate[pair]), -float(clean[pair]), pair))
    return [pair for pair in order[:LISTED] if counted[pair] > 0]
