"""`hiercls export`: what is certified of a smoothed system, as a log in Cohen's format."""

from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from hiercls.cli.common import opened_run, run_options, show_json
from hiercls.words.errors import ConfigurationError
from hiercls.words.norms import L2

if TYPE_CHECKING:
    from torch import Tensor

    from hiercls.values.certificates import LabelCertificates
    from hiercls.verbs.assembly import Assembly, Classifier, Deployed
    from hiercls_plugins.smoothing.cohen_log import Entry


@click.command(short_help="A certified run as a log in Cohen's format.")
@run_options
@click.option(
    "--output",
    metavar="FILE.tsv",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The log to write; a file that is there is replaced.",
)
@click.option("--system", metavar="NAME", help="The tree, or a baseline by its name.  [default: tree]")
@click.option(
    "--time",
    "notation",
    type=click.Choice(["clock", "seconds"]),
    default="clock",
    show_default=True,
    help="How times are written: 0:00:13.736080 or 13.73608.",
)
def export(
    path: Path,
    runs: Path,
    allow_plugins: bool,
    device: str,
    as_json: bool,
    output: Path,
    system: str | None,
    notation: Literal["clock", "seconds"],
) -> None:
    """Write what is certified of one system as a log in Cohen's format, one line a finished input.

    The radius is that of the answer: the smallest on its path, in full. Where it is 0, or the path ends before a
    label, the line is an abstention, predict -1. The time is what the provers on the path spent; `idx` is the place
    in the test split.

    The log has no column for how an input was certified, so that all of it must be as its readers take it to be:
    smoothed, in l2, by a fixed number of draws. Every other system is refused.
    """
    from hiercls.verbs.assembly import assembled, certified, finished_inputs
    from hiercls_plugins.smoothing.cohen_log import write

    assembly = assembled(opened_run(path, runs, allow_plugins, device))
    classifier = _named(assembly, system)
    if (reason := _refusal(assembly, classifier)) is not None:
        raise ConfigurationError(f"{classifier.system.name}: {reason}{_instead(assembly)}")
    finished = finished_inputs(assembly).sort().values
    certificates = certified(assembly, finished)[classifier.system.name]
    entries = list(_entries(assembly, classifier, certificates, finished))
    write(output, entries, notation)
    facts = _facts(assembly, classifier, certificates, entries) | {"file": str(output)}
    if as_json:
        show_json(facts)
    else:
        click.echo(_told(facts))


def _named(assembly: "Assembly", name: str | None) -> "Classifier":
    """A system by its name; the tree without one."""
    systems = {classifier.system.name: classifier for classifier in assembly.classifiers}
    if name is not None and name not in systems:
        raise ConfigurationError(f"--system: found {name!r}; this run has {', '.join(systems)}")
    return assembly.classifiers[0] if name is None else systems[name]


def _refusal(assembly: "Assembly", classifier: "Classifier") -> str | None:
    """Why a system's rows are none of a log in Cohen's format; None where they are."""
    norm = assembly.run.recipe.threat.norm
    if norm != L2:
        return f"a log in Cohen's format holds l2 radii, and the threat of this run is measured in {norm}"
    reasons = ((node, _node_refusal(deployed)) for node, deployed in classifier.nodes.items())
    return next((f"node {classifier.tree.name(node)!r} {reason}" for node, reason in reasons if reason), None)


def _node_refusal(deployed: "Deployed") -> str | None:
    from hiercls_plugins.smoothing.certifier import Smoothing

    certifier = deployed.certifier
    if not isinstance(certifier, Smoothing):
        found = "not certified" if certifier is None else f"certified by {type(certifier).__name__}"
        return f"is {found}; a log in Cohen's format holds smoothed radii"
    if not deployed.in_reach:
        return f"reads the view {deployed.view!r}, which no adversary can touch: it has no radius"
    if certifier.stop != "fixed":
        return (
            "stops drawing early; a log in Cohen's format holds radii of a fixed number of draws, certify with "
            "`stop: fixed`"
        )
    return None


def _instead(assembly: "Assembly") -> str:
    """The systems of the run that can be written."""
    fitting = [each.system.name for each in assembly.classifiers if _refusal(assembly, each) is None]
    return f" (--system {fitting[0]} can be exported)" if fitting else ""


def _entries(
    assembly: "Assembly", classifier: "Classifier", certificates: "LabelCertificates", finished: "Tensor"
) -> "Iterator[Entry]":
    """One line an input; a radius of 0 confirms no answer, as in Cohen's own procedure.

    Raises:
        ConfigurationError: an input has an infinite radius.
    """
    from hiercls.values.readings import answer_radius
    from hiercls.verbs.assembly import seconds_spent
    from hiercls_plugins.smoothing.cohen_log import ABSTAINED, Entry

    columns = (
        finished.tolist(),
        assembly.run.data.test.truth[finished].tolist(),
        certificates.answered_label().tolist(),
        answer_radius(certificates).values.tolist(),
        seconds_spent(assembly, classifier, finished),
    )
    for index, label, answer, radius, seconds in zip(*columns, strict=True):
        if radius == inf:
            raise ConfigurationError(
                f"{classifier.system.name}: input {index} has an infinite radius, since one label alone is allowed "
                "for it; a log in Cohen's format holds finite radii"
            )
        yield Entry(index, label, answer if radius > 0 else ABSTAINED, radius, seconds)


def _facts(
    assembly: "Assembly", classifier: "Classifier", certificates: "LabelCertificates", entries: "list[Entry]"
) -> dict[str, Any]:
    """What a reader of the log must know beside it, in JSON's types."""
    from hiercls.values.readings import answer_radius
    from hiercls_plugins.smoothing.cohen_log import ABSTAINED

    certifiers: list[Any] = [deployed.certifier for deployed in classifier.nodes.values()]
    return {
        "run": str(assembly.run.folder),
        "system": classifier.system.name,
        "inputs": len(entries),
        "selected": len(assembly.selected),
        "abstained": sum(entry.predict == ABSTAINED for entry in entries),
        "without_time": sum(entry.seconds is None for entry in entries),
        "alpha": answer_radius(certificates).alpha,
        "sigma": sorted({certifier.sigma for certifier in certifiers}),
        "draws": sorted({certifier.draws for certifier in certifiers}),
        "on_grid": any(certifier.noise == "grid" for certifier in certifiers),
    }


def _told(facts: dict[str, Any]) -> str:
    sigmas = ", ".join(f"{sigma:g}" for sigma in facts["sigma"])
    draws = ", ".join(f"{number:,}" for number in facts["draws"])
    lines = [
        f"{facts['file']}: {facts['inputs']:,} of {facts['selected']:,} inputs of {facts['system']}, "
        f"{facts['abstained']:,} abstained",
        f"l2 radii at alpha {facts['alpha']:g}, sigma {sigmas}, {draws} draws",
    ]
    if facts["on_grid"]:
        lines.append("they speak of perturbed inputs on the grid of the threat alone, which the log cannot say")
    if facts["without_time"]:
        lines.append(f"{facts['without_time']:,} inputs were certified before times were kept; theirs are left empty")
    return "\n".join(lines)
