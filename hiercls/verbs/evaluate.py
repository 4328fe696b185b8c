"""Clean decisions of every system, without certificates."""

import json
from pathlib import Path

import torch

from hiercls.contracts.context import Progress, silent
from hiercls.values.draws import Purpose
from hiercls.values.heads import ABSTAIN, UNREACHED
from hiercls.values.labels import LabelTree, Node
from hiercls.values.records import write_atomic
from hiercls.verbs.assembly import Assembly, assembled
from hiercls.whole.classifier import Classifier
from hiercls.whole.runs import Run


def evaluate(run: Run, inputs: int | None = None, progress: Progress = silent) -> dict[str, dict[str, object]]:
    """Answer the whole test split with deterministic systems, the inputs to be certified with random ones.

    Args:
        inputs: answer only this many; then nothing is kept for the report.

    Returns:
        For every system: `inputs`; `accuracy`, the share answered with exactly the true label; `abstained`, the
        share answered with a set of labels; `groups`, for each level the share whose answer lies in the true
        node of that level; `nodes`, each node's accuracy on the inputs whose label it holds and that reach it.
    """
    assembly = assembled(run, inputs, progress=progress)
    run.prepare("evaluate")
    found = {each.system.name: _evaluated(assembly, each, inputs) for each in assembly.classifiers}
    if inputs is None:
        write_atomic(evaluation_of(assembly), json.dumps(found, indent=2) + "\n")
    return found


def evaluation_of(assembly: Assembly) -> Path:
    """Where the evaluation of exactly these systems is kept."""
    return assembly.run.folder / "evaluation" / f"{assembly.key()}.json"


def _evaluated(assembly: Assembly, classifier: Classifier, inputs: int | None) -> dict[str, object]:
    data = assembly.run.data
    random = any(deployed.random for deployed in classifier.nodes.values())
    rows = assembly.selected if random or inputs is not None else torch.arange(len(data.test.truth))
    decided: dict[Node, list[torch.Tensor]] = {node: [] for node in classifier.tree.decisions}
    done = 0
    for part in rows.split(assembly.context.batch):
        for node, chosen in classifier.decide(data.inputs[part], Purpose.PREDICT).items():
            decided[node].append(chosen)
        done += len(part)
        assembly.context.progress(done, len(rows), verb="evaluate", system=classifier.system.name)
    return accuracies(classifier, {node: torch.cat(parts) for node, parts in decided.items()}, data.test.truth[rows])


def accuracies(classifier: Classifier, decided: dict[Node, torch.Tensor], truth: torch.Tensor) -> dict[str, object]:
    """The figures of `evaluate` from the decisions of all nodes, UNREACHED where an input does not come."""
    tree = classifier.tree
    none = torch.zeros(len(truth), dtype=torch.bool)
    groups = [none.clone() for _ in range(tree.depth)]
    right, abstained = none.clone(), none.clone()
    nodes: dict[str, float | None] = {}
    for node in tree.decisions:
        chosen = decided[node]
        abstained |= chosen == ABSTAIN
        true_child = _true_child(tree, node, truth)
        came = (chosen != UNREACHED) & (true_child >= 0)
        hit = came & (chosen == true_child)
        nodes[tree.name(node)] = int(hit.sum()) / int(came.sum()) if bool(came.any()) else None
        groups[tree.level(node)] |= hit
        single = hit & torch.isin(truth, torch.tensor([min(c) for c in tree.children(node) if len(c) == 1]))
        right |= single
        for deeper in range(tree.level(node) + 1, tree.depth):
            groups[deeper] |= single
    return {
        "inputs": len(truth),
        "accuracy": float(right.double().mean()),
        "abstained": float(abstained.double().mean()),
        "groups": [float(level.double().mean()) for level in groups],
        "nodes": nodes,
    }


def _true_child(tree: LabelTree, node: Node, truth: torch.Tensor) -> torch.Tensor:
    """The child that holds each input's label, ABSTAIN where none does, (N,)."""
    child_of = torch.full((len(tree.labels),), ABSTAIN)
    for k, child in enumerate(tree.children(node)):
        child_of[sorted(child)] = k
    return child_of[truth]
