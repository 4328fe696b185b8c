"""The two line figures: certified share against radius, and how many labels remain possible."""

from dataclasses import dataclass
from math import inf, nextafter

from hiercls.verbs.reporting.cells import Cell, Column, Table
from hiercls.verbs.reporting.findings import Findings, System
from hiercls.verbs.reporting.measures import Outcome, Tier, outcomes, tiers
from hiercls.verbs.reporting.rounding import budget_text, norm_text
from hiercls.verbs.reporting.svg import ANCHORS, DASHES, Axes, drawing, legend, ramp, tag, ticks
from hiercls.verbs.reporting.tables import reading_level

POINTS = 240
"""Steps of a curve between 0 and the largest finite radius."""

BEYOND = 1.03
"""How far a figure goes on, in parts of the largest finite radius: infinite radii are seen there."""


@dataclass(frozen=True, eq=False)
class Curve:
    """The certified share of one system at one level against the radius."""

    system: System
    tier: Tier
    points: tuple[tuple[float, float], ...]
    colour: str
    dash: str

    @property
    def name(self) -> str:
        return f"{self.system.name}, {self.tier.name}"

    @property
    def caption(self) -> str:
        return self.name if any(share for _, share in self.points) else f"{self.name}: nothing certified"


def curves(findings: Findings) -> tuple[Curve, ...]:
    """Every system at every level, at even radii and at the budgets; empty without inputs."""
    if not len(findings):
        return ()
    radii = _radii(findings)
    found = []
    for number, system in enumerate(findings.systems):
        own = tiers(system, findings.tree)
        for k, tier in enumerate(own):
            points = tuple((radius, tier.certified(radius).value or 0.0) for radius in radii)
            colour = ramp(ANCHORS, k / max(len(own) - 1, 1)) if len(own) > 1 else ANCHORS[-1]
            found.append(Curve(system, tier, points, colour, DASHES[number % len(DASHES)]))
    return tuple(found)


def farthest(findings: Findings) -> float:
    """The largest finite radius or budget that a figure must hold; 1 where there is none."""
    radii = [tier.radius.values for system in findings.systems for tier in tiers(system, findings.tree)]
    finite = [float(values[values.isfinite()].max()) for values in radii if bool(values.isfinite().any())]
    return max((*finite, *findings.threat.budgets), default=0.0) or 1.0


def _radii(findings: Findings) -> list[float]:
    most = farthest(findings)
    beyond = {nextafter(most, inf), most * BEYOND}
    return sorted({most * k / POINTS for k in range(POINTS)} | {most, *findings.threat.budgets} | beyond)


def curve_figure(findings: Findings) -> str:
    """Certified share against radius: solid for the tree, dashed for baselines, one colour a level."""
    found = curves(findings)
    axes = Axes(right=farthest(findings) * BEYOND)
    unit = f"radius ({norm_text(findings.threat.norm)})"
    parts = axes.frame(unit, "right, and proved to stay so", ticks(axes.right))
    parts += [axes.upright(budget, budget_text(budget)) for budget in findings.threat.budgets]
    parts += [axes.line(curve.points, curve.colour, curve.dash) for curve in reversed(found)]
    parts += [_clean(axes, curve) for curve in reversed(found)]
    entries = [(curve.caption, curve.colour, curve.dash) for curve in found]
    height = max(axes.height + 92, 60.0 + 20 * len(entries))
    parts += legend(entries, axes.left + axes.width + 28, axes.top + 6)
    return drawing(900, height, "Certified share of inputs against radius", parts)


def _clean(axes: Axes, curve: Curve) -> str:
    share = curve.tier.clean().value or 0.0
    hint = tag("title", f"clean, {curve.tier.clean().nearest()}")
    return tag(
        "circle", hint, cx=axes.x(0), cy=axes.y(share), r=3.5, fill="#fff", stroke=curve.colour, stroke_width=1.6
    )


def curves_table(findings: Findings) -> Table:
    """The curves' points, for other people's figures."""
    columns = (
        Column("radius"),
        *(Column(curve.name, reading_level(curve.system, curve.tier)) for curve in curves(findings)),
    )
    lines = [curve.points for curve in curves(findings)]
    rows = [
        (Cell(f"{points[0][0]:g}", points[0][0]), *(Cell(f"{share:.4f}", share) for _, share in points))
        for points in zip(*lines, strict=True)
    ]
    return Table("curves", "Certified share against radius", columns, tuple(rows))


def size_figure(findings: Findings) -> str:
    """The share of inputs with at most k possible labels, one colour a budget."""
    labels = len(findings.tree.labels)
    axes = Axes(right=float(labels), height=220.0)
    parts = axes.frame("possible labels |S(r)|", "inputs with at most that many", _whole(labels))
    entries = []
    budgets = findings.threat.budgets
    for k, budget in enumerate(budgets):
        colour = ramp(ANCHORS, k / max(len(budgets) - 1, 1))
        for number, outcome in enumerate(outcomes(findings, budget)):
            dash = DASHES[number % len(DASHES)]
            parts.append(axes.line(_steps(outcome, labels), colour, dash))
            entries.append(
                (f"{outcome.system.name}, {norm_text(findings.threat.norm)} ≤ {budget_text(budget)}", colour, dash)
            )
    parts += legend(entries, axes.left + axes.width + 28, axes.top + 6)
    return drawing(900, max(axes.height + 92, 60.0 + 20 * len(entries)), "Sizes of the label sets", parts)


def _whole(labels: int) -> list[float]:
    step = max(1, round(labels / 10))
    return [float(size) for size in range(0, labels + 1, step)]


def _steps(outcome: Outcome, labels: int) -> list[tuple[float, float]]:
    """A staircase: the share rises at each whole size."""
    points = [(0.0, 0.0)]
    for size in range(1, labels + 1):
        share = outcome.at_most(size).value or 0.0
        points += [(float(size), points[-1][1]), (float(size), share)]
    return points


def sizes_table(findings: Findings) -> Table:
    """The share of inputs with at most k possible labels."""
    found = [outcome for budget in findings.threat.budgets for outcome in outcomes(findings, budget)]
    columns = Column("at most"), *(Column(f"{one.system.name}, {budget_text(one.budget)}") for one in found)
    rows = []
    for size in range(1, len(findings.tree.labels) + 1):
        shares = [one.at_most(size) for one in found]
        rows.append((Cell(str(size), size), *(Cell(share.down(), share.value) for share in shares)))
    return Table("sizes", "Possible labels", columns, tuple(rows))
