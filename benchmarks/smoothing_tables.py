"""The page of the smoothing results."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from smoothing_readings import SYSTEMS
from smoothing_settings import GRID, PUBLISHED, PUBLISHED_ALPHA, PUBLISHED_DRAWS, Cell, Published

from hiercls_plugins.smoothing.statistics import cap

INTRODUCTION = """\
# Smoothed hierarchies: flat against hierarchy, restricted against retrained leaves

    {command}

ResNet-8, {networks} parameters a network, trained with Gaussian noise for
{epochs}: {seconds:.0f} minutes of a busy core for all {count} networks, leaves from scratch for as
many epochs, so in fewer steps than the flat network. {each} inputs of every branch that has a classifier, n = {draws:,}
draws an input and network after {select} selection draws, alpha = {alpha:g}, Cohen's one-sided radius
({dtype} passes, {noise} draws). The root is restricted from the flat network under both kinds of leaves. The three
GTSRB shapes with one sign each need no classifier below the root: given the branch they are right and out of reach.

Levels: every radius of a node holds with probability at least 1 - alpha, each on its own; end to end it is the smaller
of the root's and the leaf's, and holds at alpha too (an intersection-union test). A figure over many inputs is a mean
of such claims. **Radius** means the radius of a right answer, 0 where the answer is wrong or not certified: its mean is
the average certified radius (ACR). The paper does not say whether wrong answers count in its means.
"""

LAYOUT = """
## Leaf radius and certified accuracy, flat to hierarchy

Mean +- standard deviation of the radius, and certified accuracy at 0 in percent. Published figures are of other
networks (110 layers for CIFAR-10), n = 100,000, and of CIFAR-10 itself in the place of its JPEG files.
"""

FLAGS = """
Flags: (cap) a mean above {cap:.2f} sigma, the radius when all of {draws:,} draws agree at alpha = {alpha:g}; (spread) a
standard deviation that no radii between 0 and that cap with this mean have. Such rows are no Cohen certificates.
"""

GRID_TITLE = """
## Certified accuracy on a grid of radii

`right`: what selection draws name is the label; then the share of inputs that are right and certified at the radius.
"""

RENORMALISING = """
## Three readings of "renormalise over the branch"

The same draws of the flat network, read in four ways at the inputs of the branch, about the label that selection draws
name. Re-argmax is a base classifier of its own and proves its radius (the larger of its two columns is never taken;
both are shown). Flat probabilities restricted: the label of the branch that the flat network answers most; sound,
another classifier. Renormalised: the counts of the branch as if they were all draws; **no certificate**. `above
re-argmax` counts the inputs where a reading is larger than both columns of re-argmax.
"""

CHANGES = """
## How each input's radius changes

From the flat network to the leaf given the branch, over inputs that the flat network answers right and certifies.
"""


def page(command: str, figures: Mapping[str, Any], output: Path) -> str:
    trials = figures["trials"]
    return "\n".join(
        [
            _introduction(command, trials),
            LAYOUT,
            *_layout(trials),
            FLAGS.format(cap=_cap(1.0), draws=PUBLISHED_DRAWS, alpha=PUBLISHED_ALPHA),
            GRID_TITLE,
            *_grid(trials),
            RENORMALISING,
            *_renormalising(trials),
            CHANGES,
            *_changes(trials),
            "",
            f"![sorted ratios]({output.name}-changes.png)",
            *_label_sets(figures["label sets"], output),
            "",
        ]
    )


def _introduction(command: str, trials: Sequence[Mapping[str, Any]]) -> str:
    first = trials[0]
    options = first["certifier"]
    epochs = {told["data"]: told["epochs"] for told in trials}
    return INTRODUCTION.format(
        command=command,
        networks=" or ".join(sorted({f"{told['parameters']:,}" for told in trials})),
        epochs=", ".join(f"{count} epochs on {name}" for name, count in epochs.items()),
        seconds=sum(sum(told["training seconds"].values()) for told in trials) / 60,
        count=sum(len(told["training seconds"]) for told in trials),
        each=next(iter(first["branches"].values()))["systems"]["flat"]["inputs"],
        draws=options["draws"],
        select=options["select"],
        alpha=first["alpha"],
        dtype=options["precision"],
        noise=options["noise"],
    )


def _layout(trials: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    sigmas = sorted({told["sigma"] for told in trials})
    yield "| set | leaves | " + " | ".join(f"sigma {sigma:g}" for sigma in sigmas) + " |"
    yield "|" + "---|" * (2 + len(sigmas))
    for data, branch in _branches(trials):
        found = {told["sigma"]: told["branches"][branch]["systems"] for told in trials if told["data"] == data}
        for system in SYSTEMS[1:]:
            cells = [f"{_cell(found[s]['flat'])} to {_cell(found[s][system])}" if s in found else "" for s in sigmas]
            yield f"| {data} {branch} | {system} | " + " | ".join(cells) + " |"
        published = PUBLISHED[data, branch]
        yield (
            f"| {data.removesuffix('-jpeg')} {branch} | *published*, {published.leaves} | "
            + " | ".join(_published(published, sigma) for sigma in sigmas)
            + " |"
        )


def _cell(told: Mapping[str, Any]) -> str:
    mean, deviation = told["radius"]
    return f"{mean:.3f}+-{deviation:.3f}, {100 * told['certified'][0]:.1f}"


def _published(row: Published, sigma: float) -> str:
    place = (0.25, 0.5, 1.0).index(sigma)
    flat, hierarchy = row.flat[place], row.hierarchy[place]
    return f"{_flagged(flat, sigma)} to {_flagged(hierarchy, sigma)}"


def _flagged(cell: Cell, sigma: float) -> str:
    largest = _cap(sigma)
    flags = ["cap"] if cell.mean > largest else []
    if cell.mean <= largest and cell.deviation**2 > cell.mean * (largest - cell.mean):
        flags.append("spread")
    return f"{cell.mean:g}+-{cell.deviation:g}, {cell.accuracy:g}" + "".join(f" ({flag})" for flag in flags)


def _cap(sigma: float) -> float:
    return cap(sigma, PUBLISHED_DRAWS, PUBLISHED_ALPHA)


def _grid(trials: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "| set | sigma | system | right | " + " | ".join(f"{r:g}" for r in GRID) + " | mean radius where certified |"
    yield "|" + "---|" * (5 + len(GRID))
    for told in trials:
        for branch, found in told["branches"].items():
            for system, row in found["systems"].items():
                shares = " | ".join(f"{100 * share:.1f}" for share in row["certified"])
                mean, deviation = row["radius where certified"]
                head = f"| {told['data']} {branch} | {told['sigma']:g} | {system} | {100 * row['right']:.1f} "
                yield f"{head}| {shares} | {mean:.3f}+-{deviation:.3f} |"


def _renormalising(trials: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    readings = list(next(iter(trials[0]["branches"].values()))["renormalising"])
    yield "| set | sigma | " + " | ".join(readings) + " | flat probabilities above re-argmax | claims above re-argmax |"
    yield "|" + "---|" * (4 + len(readings))
    for told in trials:
        for branch, found in told["branches"].items():
            rows = found["renormalising"]
            cells = " | ".join(_cell(rows[name]) for name in readings)
            above = " | ".join(f"{rows[name]['above re-argmax']} of {rows[name]['inputs']}" for name in readings[2:])
            yield f"| {told['data']} {branch} | {told['sigma']:g} | {cells} | {above} |"


def _changes(trials: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "| set | sigma | leaves | compared | down | share down | median ratio | largest ratio | newly certified |"
    yield "|" + "---|" * 9
    for told in trials:
        for branch, found in told["branches"].items():
            for kind, row in found["changes"].items():
                share = f"{100 * row['down'] / row['compared']:.1f}%" if row["compared"] else "none"
                middle = f"{row['median']:.3f} | {row['largest']:.2f}" if row["compared"] else "none | none"
                yield (
                    f"| {told['data']} {branch} | {told['sigma']:g} | {kind.split(',')[0]} | {row['compared']} | "
                    f"{row['down']} | {share} | {middle} | {row['newly certified']} |"
                )


def _label_sets(measured: Sequence[Mapping[str, Any]], output: Path) -> Iterator[str]:
    for told in measured:
        yield ""
        yield "## The radius against the size of the label set"
        yield ""
        yield (
            f"All {len(told['sets']):,} sets of 2 to 10 labels of cifar10-jpeg, restricted from the flat network at "
            f"sigma {told['sigma']:g}, from one set of draws: the first {told['inputs']} inputs, each in the sets that "
            f"hold its label. With one label less an input's radius goes down in {told['shrunk']['down']} of "
            f"{told['shrunk']['compared']:,} cases, in {told['shrunk']['down, still certified']} of them while the "
            "right answer stays certified (draw by draw, the answer of a set wins in every subset that holds it)."
        )
        yield ""
        yield "| labels | sets | mean radius +- deviation between sets | least | most |"
        yield "|---|---|---|---|---|"
        for size, row in told["sizes"].items():
            mean, spread = row["radius"]
            yield f"| {size} | {row['sets']} | {mean:.3f}+-{spread:.3f} | {row['least']:.3f} | {row['most']:.3f} |"
        yield ""
        yield f"![radius against the size of the label set]({output.name}-label-sets.png)"


def _branches(trials: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((told["data"], branch) for told in trials for branch in told["branches"]))
