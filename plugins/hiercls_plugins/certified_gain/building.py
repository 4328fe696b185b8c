"""From a trained network to the chosen tree, and what is expected of it."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform

from hiercls.contracts.components import Grown, Task
from hiercls.contracts.context import Context
from hiercls.values.labels import LabelTree
from hiercls.words.errors import ConfigurationError
from hiercls_plugins.certified_gain.components import CertifiedGain
from hiercls_plugins.certified_gain.margins import Margins, Measured, sample
from hiercls_plugins.certified_gain.objective import Objective
from hiercls_plugins.certified_gain.search import Climbed, merged_greedily, searched
from hiercls_plugins.certified_gain.shapes import Shape, as_tree, of_merges, random_shape, star

SEARCH = 42
"""The key of random trees and of the order of steps."""


def grown(
    options: CertifiedGain, labels: tuple[str, ...], network: torch.nn.Module, task: Task, context: Context
) -> Grown:
    """The chosen tree.

    Raises:
        ConfigurationError: fewer than two labels, no budgets, budgets of another norm than l_inf, or a network with
            another number of outputs.
    """
    if len(labels) < 2:
        raise ConfigurationError("tree: certified-gain needs at least two labels")
    budgets = _budgets(options, context)
    examples = sample(task, options.inputs, context)
    measured = Measured(network, context.threat.domain, context.device)
    rows = measured.rows(examples.x, len(labels), options.of)
    found = {budget: measured.margins(examples.x, budget) for budget in budgets}
    truth = examples.truth.numpy()
    objective = pooled(list(found.values()), truth)
    starts = _starts(objective, rows, list(found.values()), options, context)
    best = searched(objective, starts, options.arity, _random(context))
    tree = as_tree(best.shape, labels)
    apart = {budget: pooled([margins], truth) for budget, margins in found.items()}
    return Grown(tree, _why(tree, best, starts, apart, examples.told))


def pooled(found: Sequence[Margins], truth: np.ndarray) -> Objective:
    """The mean over budgets of the gain at each."""
    beats, answers = zip(*((margins.beats, margins.answer) for margins in found), strict=True)
    return Objective(np.concatenate(beats), np.concatenate(answers), np.tile(truth, len(found)))


def _budgets(options: CertifiedGain, context: Context) -> tuple[float, ...]:
    if why := options.refusal(context.threat):
        raise ConfigurationError(f"tree: certified-gain {why}")
    return options.budgets or context.threat.budgets


def _starts(
    objective: Objective, rows: np.ndarray, found: Sequence[Margins], options: CertifiedGain, context: Context
) -> Mapping[str, Shape]:
    random = _random(context)
    labels = objective.labels
    return {
        WARD: of_merges(linkage(rows, "ward"), labels),
        "rates": of_merges(linkage(squareform(told_apart(found)), "average"), labels),
        "greedy": merged_greedily(objective, options.arity),
        **{f"random {k}": random_shape(labels, random) for k in range(options.restarts)},
    }


WARD = "Ward"


def told_apart(found: Sequence[Margins]) -> np.ndarray:
    """How often the network proves which of two labels it is where it answers one of them, (L, L) symmetric."""
    labels = found[0].beats.shape[1]
    proved = np.zeros((labels, labels))
    answered = np.zeros(labels)
    for margins in found:
        np.add.at(proved, margins.answer, margins.beats[np.arange(len(margins.answer)), margins.answer])
        answered += np.bincount(margins.answer, minlength=labels)
    rates = (proved + proved.T) / np.maximum(answered[:, None] + answered[None, :], 1)
    np.fill_diagonal(rates, 0)
    return rates


def _why(
    tree: LabelTree, best: Climbed, starts: Mapping[str, Shape], apart: Mapping[float, Objective], told: str
) -> str:
    """What is expected at each budget, beside Ward's tree and the flat classifier, and how sure the search is."""
    flat = star(len(tree.labels))
    gains = [
        f"at {budget:g}: {objective.gain(best.shape):.4f} (agglomerative tree, Ward's linkage: "
        f"{objective.gain(starts[WARD]):.4f}; flat classifier: {objective.gain(flat):.4f})"
        for budget, objective in apart.items()
    ]
    same = sum(np.isclose(gain, best.gain, rtol=0, atol=1e-9) for gain in best.reached.values())
    split = " | ".join(tree.name(child) for child in tree.children(tree.root))
    return (
        f"expected certified information gain on {told}, {'; '.join(gains)}; {same} of {len(starts)} searches end at "
        f"this gain; the root splits {split}"
    )


def _random(context: Context) -> np.random.Generator:
    return np.random.default_rng(int(torch.randint(2**62, (1,), generator=context.generator(SEARCH))))
