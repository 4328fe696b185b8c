"""Heat maps between labels: what remains possible under a budget, and median targeted radii."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from html import escape
from math import cos, floor, isinf, log10, radians, sin

from hiercls.values.labels import LabelTree, Node
from hiercls.verbs.reporting.findings import Findings, System
from hiercls.verbs.reporting.measures import Outcome, targeted, totals
from hiercls.verbs.reporting.rounding import Share, budget_text, norm_text, rounded_down
from hiercls.verbs.reporting.svg import dark, drawing, ramp, tag, words

POSSIBLE = ("#fffaf5", "#f9dcbd", "#f1b27a", "#db7c40", "#b04a17")
"""What an attacker can still do: pale to dark red."""

TRUTH = ("#f7f8f9", "#c3c9d2", "#727e8e")
"""The diagonal of the maps above: the truth stays possible, which is no harm."""

PROVED = ("#fbfdfe", "#cfe5ec", "#8fc1d2", "#3f8fae", "#14607f")
"""How far a proof reaches: pale to dark blue."""

DRAWN = 150
"""The largest number of labels for which a map between labels is drawn."""

LONGEST = 26
"""Letters of a label name beside a map; hovering shows the rest."""


CROWDED = 16
"""Above this number of labels a map takes the whole width, without numbers in its cells."""


@dataclass(frozen=True)
class Map:
    """A drawn map."""

    title: str
    svg: str


@dataclass(frozen=True)
class Square:
    """One cell of a map: how strong (0 to 1), what is written in it, and what hovering says."""

    strength: float
    mark: str
    hint: str
    colours: Sequence[str]


def leaf_order(tree: LabelTree) -> list[int]:
    """The labels in the order of the drawn tree, so that every group is a block."""
    order: list[int] = []
    waiting: list[Node] = [tree.root]
    while waiting:
        node = waiting.pop()
        if len(node) == 1:
            order += node
        waiting += reversed(tree.children(node))
    return order


def possible_map(findings: Findings, system: System, budget: float) -> Map:
    """For each true label (row): the share of its inputs that can still be answered as each label (column)."""
    counts, of = Outcome(system, budget).confusions, totals(system)
    labels = findings.tree.labels

    def square(row: int, column: int) -> Square:
        share = Share(int(counts[row, column]), int(of[row]))
        value = share.value or 0.0
        hint = f"{labels[row]} → {labels[column]}: {share.counted()} ({share.up()})"
        return Square(value, _whole_percent(share), hint, TRUTH if row == column else POSSIBLE)

    title = f"{system.name}: possible under {norm_text(findings.threat.norm)} ≤ {budget_text(budget)}"
    return _map(findings.tree, title, square)


def radius_map(findings: Findings, system: System) -> Map:
    """For each true label (row): the median radius within which its inputs are not answered as each label (column)."""
    medians, labels = targeted(system), findings.tree.labels
    finite = medians[medians.isfinite()]
    most = float(finite.max()) if len(finite) else 0.0

    def square(row: int, column: int) -> Square:
        value = float(medians[row, column])
        hint = f"{labels[row]} → {labels[column]}: not within {rounded_down(value)}"
        if isinf(value):
            return Square(1.0, "∞", hint, PROVED)
        return Square(value / most if most else 0.0, _brief(value, most) if value else "", hint, PROVED)

    return _map(findings.tree, f"{system.name}: median R(label | x), largest finite {rounded_down(most)}", square)


def _brief(value: float, most: float) -> str:
    """Two digits of the largest value, rounded down, without the leading zero: `.07` beside `.11`."""
    places = max(1 - floor(log10(most)), 0)
    digits = Decimal(repr(value)).quantize(Decimal(1).scaleb(-places), ROUND_FLOOR)
    return f"{digits}".removeprefix("0") if digits else ""


def _whole_percent(share: Share) -> str:
    """Whole percents, rounded up, empty for none."""
    return "" if share.count == 0 else str(-(-100 * share.count // share.total))


def _map(tree: LabelTree, title: str, square: Callable[[int, int], Square]) -> Map:
    order = leaf_order(tree)
    side = _side(len(order))
    margin = 14 + 6.3 * max(len(_short(tree.labels[label])) for label in order)
    left, top = margin, margin * sin(radians(-_angle(side))) + 24
    parts = [words(title, 0, 13, class_="name")]
    parts += [_row_name(tree, label, left, top + side * k, side) for k, label in enumerate(order)]
    parts += [_column_name(tree, label, left + side * k, top, side) for k, label in enumerate(order)]
    for down, row in enumerate(order):
        for across, column in enumerate(order):
            found = square(row, column)
            if found.strength:
                parts.append(_cell(found, left + side * across, top + side * down, side))
    parts += _borders(tree, order, left, top, side)
    width = left + side * len(order) + margin * cos(radians(_angle(side))) + 10
    return Map(title, drawing(width, top + side * len(order) + 4, title, parts))


def _side(labels: int) -> float:
    """Pixels of a cell: room for a number up to 16 labels."""
    return 32.0 if labels <= 12 else 26.0 if labels <= CROWDED else 14.0 if labels <= 60 else 7.0


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1].rstrip() + "…"


def _row_name(tree: LabelTree, label: int, x: float, y: float, side: float) -> str:
    return words(_short(tree.labels[label]), x - 6, y + side / 2 + 4, text_anchor="end", font_size=_letter(side))


def _column_name(tree: LabelTree, label: int, x: float, y: float, side: float) -> str:
    at_x, at_y = x + side / 2 + 3, y - 6
    turn = f"rotate({_angle(side)} {at_x:.1f} {at_y:.1f})"
    return words(_short(tree.labels[label]), at_x, at_y, transform=turn, font_size=_letter(side))


def _angle(side: float) -> int:
    """Degrees by which column names are turned: upright where they would touch each other."""
    return -50 if side > 20 else -90


def _letter(side: float) -> float:
    return min(12.0, side * 0.8)


def _cell(square: Square, x: float, y: float, side: float) -> str:
    colour = ramp(square.colours, square.strength)
    rect = tag("rect", _hint(square), x=x, y=y, width=side, height=side, fill=colour)
    if not square.mark or side < 26:
        return rect
    ink = "#fff" if dark(colour) else "#1c2430"
    middle = words(square.mark, x + side / 2, y + side / 2 + 4, text_anchor="middle", class_="mark", fill=ink)
    return rect + middle


def _hint(square: Square) -> str:
    return tag("title", escape(square.hint))


def _borders(tree: LabelTree, order: Sequence[int], left: float, top: float, side: float) -> list[str]:
    """The frame, and lines between the groups below the root."""
    size = side * len(order)
    parts = [tag("rect", x=left, y=top, width=size, height=size, class_="frame")]
    seen = 0
    for child in tree.children(tree.root)[:-1] if tree.depth > 1 else ():
        seen += len(child)
        at = side * seen
        parts.append(tag("line", x1=left + at, x2=left + at, y1=top, y2=top + size, class_="parting"))
        parts.append(tag("line", x1=left, x2=left + size, y1=top + at, y2=top + at, class_="parting"))
    return parts
