"""Pictures of the smoothing results."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

INK, FAINT = "#202124", "#9aa0a6"
SHADES = ("#9ecae1", "#3182bd", "#0b3c66")
"""One a sigma, from small to large."""


def draw_changes(changes: Mapping[tuple[str, str], Mapping[float, Any]], path: Path) -> None:
    """The ratio of each input's radius to the flat network's, sorted: a column a branch, a row a kind of leaf."""
    kinds = ("restricted, given the branch", "retrained, given the branch")
    branches = list(changes)
    figure = Figure(figsize=(3.1 * len(branches), 5.6), layout="constrained")
    panels = figure.subplots(len(kinds), len(branches), sharex=True, sharey="row", squeeze=False)
    for row, kind in zip(panels, kinds, strict=True):
        row[0].set_ylabel(f"{kind.split(',')[0]}: new radius / flat radius", color=INK)
        for panel, branch in zip(row, branches, strict=True):
            for shade, (sigma, told) in zip(SHADES, changes[branch].items(), strict=False):
                _sorted(panel, told[kind]["ratios"], shade, f"sigma {sigma:g}")
            panel.axhline(1.0, color=FAINT, linewidth=0.8, zorder=0)
    for panel, (data, branch) in zip(panels[0], branches, strict=True):
        panel.set_title(f"{data}, {branch}", fontsize=10, color=INK)
    for panel in panels[-1]:
        panel.set_xlabel("share of inputs", color=INK)
    handles, names = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=len(names), frameon=False)
    figure.savefig(path, dpi=140)


def _sorted(panel: Any, ratios: Sequence[float], shade: str, name: str) -> None:
    shares = [(place + 0.5) / len(ratios) for place in range(len(ratios))]
    panel.plot(shares, [min(max(ratio, 0.05), 20.0) for ratio in ratios], color=shade, linewidth=1.8, label=name)
    panel.set_yscale("log")
    panel.set_yticks([0.05, 0.2, 0.5, 1, 2, 5, 20], ["lost", "0.2", "0.5", "1", "2", "5", "20 and more"])
    panel.yaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_minor_formatter(NullFormatter())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.0f}%"))
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)


def draw_subsets(measured: Mapping[str, Any], path: Path) -> None:
    """The mean radius of every label set against its size, and the mean of each size."""
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    panel = figure.subplots()
    for name, told in measured["sets"].items():
        panel.plot(len(name.split()), told["radius"], ".", color=SHADES[0], markersize=5, alpha=0.7, zorder=1)
    sizes = {int(size): told["radius"][0] for size, told in measured["sizes"].items()}
    panel.plot(list(sizes), list(sizes.values()), "o-", color=SHADES[2], linewidth=1.8, zorder=2)
    panel.annotate(
        "line: mean of the sets of one size", (5, sizes[5]), xytext=(6.2, sizes[5] + 0.12), color=SHADES[2], fontsize=9
    )
    panel.set_xlabel("labels in the set", color=INK)
    panel.set_ylabel("mean certified radius, l2", color=INK)
    panel.set_ylim(bottom=0)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    figure.savefig(path, dpi=140)
