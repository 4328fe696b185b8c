"""Gather what a run found, and hand it to the report."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from hiercls.values.records import read_json
from hiercls.verbs.assembly import Assembly, assembled, certified, finished_inputs
from hiercls.verbs.audit import kept_audit
from hiercls.verbs.evaluate import evaluation_of
from hiercls.verbs.power import UNKNOWN
from hiercls.verbs.reporting.findings import Findings, NodeFact, System
from hiercls.verbs.reporting.page import write_report
from hiercls.whole.classifier import Classifier
from hiercls.whole.plan import Plan
from hiercls.whole.runs import Run, environment
from hiercls.wiring.recipe import Recipe
from hiercls.wiring.wording import described


def report(run: Run) -> tuple[Findings, Path]:
    """Write `report.html` and `tables/*.csv` of what is certified so far."""
    found = findings(run)
    run.prepare("report")
    return found, write_report(found, run.folder)


def findings(run: Run) -> Findings:
    """What the run found, as one value.

    Raises:
        ConfigurationError: nothing is certified yet.
    """
    assembly = assembled(run)
    finished = finished_inputs(assembly)
    everything = certified(assembly, finished)
    truth = run.data.test.truth[finished]
    evaluation = _kept(evaluation_of(assembly))
    systems = tuple(
        System(name, everything[name], truth, node_facts(assembly, classifier, evaluation))
        for classifier in assembly.classifiers
        for name in [classifier.system.name]
    )
    labels = run.data.labels
    return Findings(
        title=run.recipe.name,
        command=f"hiercls run {shlex.quote(_shown(run.recipe.source))}",
        recipe=run.recipe.resolved(),
        environment={**environment(), "seed": str(run.recipe.seed)},
        threat=run.recipe.threat,
        systems=systems,
        metrics=_metrics(assembly, systems),
        evaluation=_flat(evaluation),
        audit=_told(kept_audit(assembly)),
        affinity={
            name: frozenset(labels.index(label) for label in members)
            for name, members in run.recipe.report.affinity.items()
        },
        warnings=(*_warnings(assembly, len(finished)), *(each for system in systems for each in collapsed(system))),
        mask_in_reach=_mask_in_reach(run),
    )


def _shown(source: Path) -> str:
    """The recipe's path as a user would type it: relative where it lies below the working folder."""
    return str(source.relative_to(Path.cwd())) if source.is_relative_to(Path.cwd()) else str(source)


def node_facts(assembly: Assembly, classifier: Classifier, evaluation: Mapping[str, Any]) -> tuple[NodeFact, ...]:
    """What decides at each node of a system, for people."""
    tree = classifier.tree
    planned = assembly.run.plan()
    networks = assembly.run.networks(assembly.run.tree)
    measured = evaluation.get(classifier.system.name, {}).get("nodes", {})
    facts = []
    for node in tree.decisions:
        deployed = classifier.nodes[node]
        places = [networks.place(name) for name in networks.behind(deployed.job)]
        parameters = sum(int(read_json(place / "meta.json")["parameters"]) for place in places)
        certifier = None if deployed.certifier is None else described(assembly.run.recipe, deployed.certifier)
        decides = _decides(assembly.run.recipe, planned, deployed.job)
        name, short, level = tree.name(node), tree.short_name(node), tree.level(node)
        view, in_reach, right = deployed.view, deployed.in_reach, measured.get(name)
        facts.append(NodeFact(name, short, level, decides, certifier, view, in_reach, parameters, right))
    return tuple(facts)


def _decides(recipe: Recipe, planned: Plan, name: str) -> str:
    if name in planned.composed:
        return f"the network {name}: the walk down the tree, by {', '.join(planned.composed[name].networks)}"
    job = planned.jobs[name]
    how = f"the network {job.name}: " if job.name in recipe.networks else "retrained "
    return f"{how}{described(recipe, job.architecture)}, {described(recipe, job.trainer)}"


def _metrics(assembly: Assembly, systems: tuple[System, ...]) -> dict[str, dict[str, float]]:
    """The recipe's metrics of every system; all are measured in the groups of the recipe's tree."""
    recipe = assembly.run.recipe
    found: dict[str, dict[str, float]] = {}
    for system in systems:
        for metric in recipe.metrics:
            figures = metric.measure(systems[0].tree, system.certificates, system.truth, recipe.threat)
            found.setdefault(system.name, {}).update(figures)
    return found


def _warnings(assembly: Assembly, finished: int) -> tuple[str, ...]:
    found = [
        f"{each.job}: {sentence}"
        for each in assembly.proved_by
        if each.certifier is not None
        for sentence in each.certifier.warnings(assembly.run.recipe.threat, each.context.alpha)
    ]
    if finished < len(assembly.selected):
        found.append(f"{finished} of {len(assembly.selected)} inputs are certified so far")
    return tuple(found)


def collapsed(system: System) -> Iterator[str]:
    """Nodes that answer alike whatever they are shown, though many of their inputs are others: perfectly robust."""
    tree = system.tree
    for node, rows in system.certificates.nodes.items():
        reached = rows.chosen >= 0
        chosen = rows.chosen[reached].unique()
        if len(chosen) != 1:
            continue
        child = rows.children[int(chosen)]
        truth = system.truth[reached]
        others = int(torch.isin(truth, torch.tensor(sorted(node - child))).sum())
        if others >= COLLAPSED * len(truth):
            yield (
                f"{system.name}: {tree.name(node)} answers {tree.name(child)} on all {len(truth):,} inputs that reach "
                f"it, {others:,} of which are others; its network has collapsed, and its radii say nothing of skill"
            )


COLLAPSED = 0.1
"""The share of inputs of its other children above which a node with one answer is told of."""


def _mask_in_reach(run: Run) -> str | None:
    view = run.data.allowed_view
    return view if view is not None and run.recipe.threat.reaches(view) else None


def _kept(path: Path) -> Mapping[str, Any]:
    return read_json(path) if path.exists() else {}


def _flat(evaluation: Mapping[str, Any]) -> dict[str, float] | None:
    """The clean accuracies of all systems, named."""
    shown: dict[str, float] = {}
    for name, found in evaluation.items():
        shown[f"{name}, right, of {found['inputs']} inputs"] = found["accuracy"]
        if found["abstained"]:
            shown[f"{name}, abstained"] = found["abstained"]
    return shown or None


def _told(audit: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if audit is None else told_audit(audit)


def told_audit(audit: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of an audit, in the order in which they are printed."""
    facts: dict[str, Any] = {"breaks": 0, "allowed": 0}
    for name, system in audit["systems"].items():
        flipped = len({flip["index"] for flip in system["flips"]})
        facts["breaks"] += flipped
        facts["allowed"] += system["tolerated"]
        facts[f"{name}: inputs audited"] = system["inputs"]
        facts[f"{name}: radii attacked"] = system["radii"] or "none: no radius is positive"
        facts[f"{name}: inputs with a flip"] = flipped
        facts[f"{name}: flips that its level explains"] = system["tolerated"]
    facts["broken"] = ", ".join(name for name, system in audit["systems"].items() if system["broken"]) or "none"
    for job, power in audit["power"].items():
        caught = f"catches {power['caught']} of {power['inflated']} radii inflated by 5% on linear trees"
        facts[f"power, {job}"] = caught if power["inflated"] else UNKNOWN
    options = ", ".join(f"{name} {value}" for name, value in audit["attack"]["options"].items())
    facts["attack"] = f"{audit['attack']['class'].rsplit(':', 1)[1]}: {options}"
    facts["seconds"] = audit["seconds"]
    facts["warnings"] = [*_weak(audit)]
    return facts


def _weak(audit: Mapping[str, Any]) -> Iterator[str]:
    """What an audit could not have found."""
    for job, power in audit["power"].items():
        if 2 * power["caught"] < power["inflated"]:
            caught = f"{power['caught']} of {power['inflated']} radii inflated by 5%"
            yield f"the audit is weak on {job}: it catches {caught}"
    for name, system in audit["systems"].items():
        if system["tolerated"] >= system["inputs"]:
            yield f"the audit of {name} cannot fail: its level explains a flip on each of {system['inputs']} inputs"
