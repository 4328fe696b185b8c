"""The tables as text: ours beside the published figures."""

from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

Figures = Sequence[float]

MARK = "\\*"
TIGHTER_MARK = "†"
TIGHTER = "verified inter-group error"
"""The column that a flat network has by a second rule too."""


def page(outcome: Mapping[str, Any], notes: str | None) -> str:
    """The results page.

    Args:
        outcome: the command, the settings with their rows, and the environment.
        notes: what remains to the published figures, and why; None for nothing written yet.
    """
    lines = [
        f"# {outcome['title']}",
        "",
        "Made by this command, on one day after another; what stems from an earlier one is named:",
        "",
    ]
    lines += [f"    {outcome['command']}", "", outcome["preface"], ""]
    for setting in outcome["settings"]:
        if begun(setting):
            lines += [*table(setting), ""]
    if notes:
        lines += ["## What remains to the published figures", "", notes.strip(), ""]
    lines += ["## Seconds and hours", "", *totals(outcome["settings"]), ""]
    lines += [*waiting([setting for setting in outcome["settings"] if not begun(setting)])]
    lines += [", ".join(f"{name} {value}" for name, value in outcome["environment"].items()) + ".", ""]
    return "\n".join(lines)


def begun(setting: Mapping[str, Any]) -> bool:
    """Whether a row of the table is measured."""
    return any(row["figures"] for row in setting["rows"])


def waiting(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Tables without a row, folded away."""
    lines = ["## Not run yet", ""] if settings else []
    for setting in settings:
        left = [row["hours left"] for row in setting["rows"]]
        told = "nothing was timed yet" if None in left else f"about {sum(left):,.1f} hours"
        lines += ["<details>", f"<summary>{setting['title']}: {told}</summary>"]
        lines += [*table(setting)[1:], "", "</details>", ""]
    return lines


def table(setting: Mapping[str, Any]) -> list[str]:
    """One table: two lines a row, ours and the published one."""
    columns = setting["columns"]
    lines = [f"## {setting['title']}", ""]
    if setting["trouble"]:
        lines += [f"{setting['trouble']}.", ""]
    extra = [*setting["beside"], *(["verified inter-group error, tighter rule"] if setting["flat rule"] else [])]
    lines += ["| | seeds | " + " | ".join([*columns, *extra]) + " | hours left |"]
    lines += ["|" + "---|" * (len(columns) + len(extra) + 3)]
    for row in setting["rows"]:
        lines.append(ours(row, len(columns), setting))
        if row["published"]:
            figures = " | ".join(f"{figure:.2f}" for figure in row["published"])
            blank = " |" * len(extra)
            lines.append(f"| published, {row['against']} | | {figures} |{blank} |")
    return [*lines, "", *_below(setting)]


def ours(row: Mapping[str, Any], columns: int, setting: Mapping[str, Any]) -> str:
    figures = row["figures"]
    flat, beside = bool(setting["flat rule"]), len(setting["beside"])
    mark = _mark(row, setting["columns"]) if setting["same data"] else ""
    if not figures:
        cells = ["not run"] * columns + [""] * (beside + flat)
    else:
        cells = [spread(column) for column in (*zip(*figures, strict=True), *zip(*row["beside"], strict=True))]
        cells += [spread(row["tighter"]) if row["tighter"] else ""] * flat
    return f"| {row['name']}{mark} | {len(figures)} of {row['asked seeds']} | {' | '.join(cells)} | {hours(row)} |"


def _mark(row: Mapping[str, Any], columns: Sequence[str]) -> str:
    """Whether a row is below the published one, by the paper's rule or, flat, by the tighter one alone."""
    if lower_everywhere(row["figures"], row["published"]):
        return MARK
    tighter = [
        [second if name == TIGHTER else figure for name, figure in zip(columns, figures, strict=True)]
        for figures, second in zip(row["figures"], row["tighter"], strict=False)
    ]
    return TIGHTER_MARK if lower_everywhere(tighter, row["published"]) else ""


def spread(values: Figures) -> str:
    """The mean over seeds, and the standard deviation where there is more than one, in percent."""
    if len(values) == 1:
        return f"{values[0]:.2f}"
    return f"{mean(values):.2f} ± {stdev(values):.2f}"


def means(figures: Sequence[Figures]) -> tuple[float, ...]:
    """The means as they are shown."""
    return tuple(round(mean(column), 2) for column in zip(*figures, strict=True))


def lower_everywhere(figures: Sequence[Figures], published: Figures | None) -> bool:
    """Whether the means as shown are strictly below the published figures in every column."""
    if not figures or published is None:
        return False
    return all(our < their for our, their in zip(means(figures), published, strict=True))


def hours(row: Mapping[str, Any]) -> str:
    """What the row still needs; ~ where its own kind of training was not timed."""
    left = row["hours left"]
    if left is None:
        told = "unknown: nothing was timed yet"
    elif left == 0:
        told = ""
    else:
        told = f"{'~' * row['basis']}{max(left, 0.1):.1f}"
    return "; ".join(part for part in (told, row["why not"]) if part)


def _below(setting: Mapping[str, Any]) -> list[str]:
    facts = [f"Published: {setting['source']}."]
    if setting["same data"]:
        facts.append(f"{MARK} strictly lower than the published row in all columns.")
        if setting["flat rule"]:
            facts.append(f"{TIGHTER_MARK} the same, with the verified column by the tighter rule.")
    else:
        facts.append("Other data than the published row's: only the relation between rows can be compared.")
    if setting["largest network"]:
        allowed = f" of {setting['most parameters']:,} allowed" if setting["most parameters"] else ""
        facts.append(f"The largest network has {setting['largest network']:,} parameters{allowed}.")
    if setting["goal"]:
        facts.append(setting["goal"])
    earlier = [f"{row['name']} (seeds {', '.join(map(str, row['of an earlier day']))})" for row in _earlier(setting)]
    if earlier:
        facts.append(f"Of an earlier invocation, whose networks were not here any more: {', '.join(earlier)}.")
    return [" ".join(facts)]


def _earlier(setting: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [row for row in setting["rows"] if row.get("of an earlier day")]


def totals(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Seconds of training and measuring, and how hours are estimated."""
    rows = [row for setting in settings for row in setting["rows"]]
    trained = sum(row["training seconds"] for row in rows)
    certified = sum(row["certifying seconds"] for row in rows)
    left = sum(row["hours left"] or 0 for row in rows)
    return [
        f"Seconds of all epochs of the networks in these tables, each counted where it stands first: {trained:,.0f}; "
        f"of certifying in this invocation (what is stored already is not done again): {certified:,.0f}.",
        "",
        f"Hours left, {left:,.0f} in all, are those of the networks that no earlier row needs, on one such machine, "
        "one after another: the measured seconds of an epoch of the same kind of network and trainer, scaled by the "
        "examples and by the multiplications of a forward pass. ~ the trainer was timed on another network alone; "
        "~~ the trainer was not timed, and the slowest one stands for it. A tree that is not known yet is taken as if "
        "it halved its labels. Machines were busy with other work.",
    ]


def goal(rows: Sequence[Mapping[str, Any]], bar: Figures) -> str:
    """Which mixed trees are at once below a bar in all columns."""
    found = [row["name"] for row in rows if "Mixed" in row["name"] and lower_everywhere(row["figures"], bar)]
    told = " / ".join(f"{figure:g}" for figure in bar)
    return f"At once below {told}: {', '.join(found) or 'no mixed NDT yet'}."
