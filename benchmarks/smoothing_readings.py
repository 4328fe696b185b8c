"""What the stored rows say: radii of flat, restricted and retrained leaves, and three readings of renormalising."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri
from smoothing_proofs import Trial, answered
from smoothing_settings import GRID

from hiercls.contracts.provers import Row
from hiercls.values.heads import Head
from hiercls_plugins.smoothing.statistics import lower_bound, one_sided, two_sided, upper_bound

SYSTEMS = ("flat", "restricted, given the branch", "restricted", "retrained, given the branch", "retrained")
"""End to end where nothing else is said: the root must send the input to its branch, and hold it there."""


@dataclass(frozen=True)
class Answer:
    """What one classifier says of one input.

    Attributes:
        right: whether it names the label of the input.
        radius: within it the answer is certified; 0 is no claim.
    """

    right: bool
    radius: float

    @property
    def counted(self) -> float:
        """The radius where the answer is right, else 0."""
        return self.radius if self.right else 0.0


@dataclass(frozen=True)
class Seen:
    """One input with the rows that were proved at it; None where a decision abstained."""

    index: int
    truth: int
    flat: Row | None
    root: Row | None
    restricted: Row | None
    retrained: Row | None


def seen(trial: Trial, branch: str) -> list[Seen]:
    """The inputs of a branch, in the order of certification."""
    flat, (leaf, head) = trial.rows(trial.flat), trial.leaf(branch, True)
    restricted, own = trial.leaf(branch, False)[1], trial.rows(leaf)
    truth = trial.run.data.test.truth
    return [
        Seen(
            index,
            int(truth[index]),
            answered(flat, index, trial.flat_head),
            answered(flat, index, trial.root_head),
            answered(flat, index, restricted),
            answered(own, index, head),
        )
        for index in trial.inputs(branch)
    ]


def answers(trial: Trial, branch: str, inputs: Sequence[Seen]) -> dict[str, list[Answer]]:
    """Every system's answers to the inputs of a branch."""
    node = trial.branches[branch]
    side = next(k for k, child in enumerate(trial.root_head.children) if child == node)
    heads = {kept: trial.leaf(branch, kept)[1] for kept in (False, True)}

    def end_to_end(one: Seen, leaf: Answer) -> Answer:
        taken = one.root is not None and one.root.chosen == side
        return Answer(leaf.right and taken, min(leaf.radius, one.root.own) if taken and one.root else 0.0)

    def each() -> Iterator[tuple[Answer, ...]]:
        for one in inputs:
            restricted = _answer(one.restricted, heads[False], one.truth)
            retrained = _answer(one.retrained, heads[True], one.truth)
            flat = _answer(one.flat, trial.flat_head, one.truth)
            yield flat, restricted, end_to_end(one, restricted), retrained, end_to_end(one, retrained)

    return {name: list(column) for name, column in zip(SYSTEMS, zip(*each(), strict=True), strict=True)}


def _answer(row: Row | None, head: Head, truth: int) -> Answer:
    if row is None:
        return Answer(False, 0.0)
    return Answer(head.children[row.chosen] == frozenset({truth}), row.own)


def summary(found: Sequence[Answer]) -> dict[str, Any]:
    """Mean and standard deviation of the radius, wrong and uncertified inputs as 0 and without them, and accuracies."""
    radii = np.array([answer.counted for answer in found])
    positive = radii[radii > 0]
    return {
        "inputs": len(found),
        "right": float(np.mean([answer.right for answer in found])),
        "radius": [float(radii.mean()), float(radii.std())],
        "radius where certified": [float(positive.mean()), float(positive.std())] if len(positive) else [0.0, 0.0],
        "certified": [float(np.mean((radii > 0) & (radii >= r))) for r in GRID],
    }


def renormalising(trial: Trial, branch: str, inputs: Sequence[Seen]) -> dict[str, dict[str, Any]]:
    """The readings side by side, each with the inputs at which it claims more than the restricted node proves.

    All speak of the label that selection draws name for the restricted leaf. `re-argmax`: that node, a base classifier
    of its own, at one-sided and two-sided bounds. `flat probabilities`: the label of the branch that the flat network
    answers most, two-sided on the flat counts of all draws. `renormalised`: the flat counts of the branch alone as if
    they were all draws, as published; it proves nothing.
    """
    head = trial.leaf(branch, False)[1]
    readings = {"re-argmax, one-sided": _one_sided, "re-argmax, two-sided": _two_sided}
    readings |= {"flat probabilities, two-sided": _flat, "renormalised, a claim only": _renormalised}
    columns = {name: [_read(one, head, reading) for one in inputs] for name, reading in readings.items()}
    proved = [
        max(one, two) for one, two in zip(columns["re-argmax, one-sided"], columns["re-argmax, two-sided"], strict=True)
    ]
    told = {}
    for name, radii in columns.items():
        found = [Answer(one.restricted is not None, radius) for one, radius in zip(inputs, radii, strict=True)]
        right = [_answer(one.restricted, head, one.truth).right for one in inputs]
        told[name] = summary([Answer(ok, answer.radius) for ok, answer in zip(right, found, strict=True)])
        told[name]["above re-argmax"] = sum(r > best for r, best in zip(radii, proved, strict=True))
    return told


Counts = tuple[np.ndarray, np.ndarray, int, int, float, float, float]
"""Of the restricted leaf and of the branch's labels in the flat network, K + 1 and K cells; the chosen child; all
draws; sigma, alpha, slack."""


def _read(one: Seen, head: Head, reading: Callable[[Counts], float]) -> float:
    if one.restricted is None or one.flat is None:
        return 0.0
    told = one.restricted.evidence
    flat = np.array(one.flat.evidence["counts"])
    members = [label for child in head.children for label in child]
    own = (told["sigma"], told["alpha"], told.get("slack", 0.0))
    return reading((np.array(told["counts"]), flat[members], one.restricted.chosen, int(flat.sum()), *own))


def _one_sided(given: Counts) -> float:
    leaf, _, chosen, _, sigma, alpha, slack = given
    return one_sided(leaf, chosen, sigma, alpha, slack).own


def _two_sided(given: Counts) -> float:
    leaf, _, chosen, _, sigma, alpha, slack = given
    return two_sided(leaf, chosen, sigma, alpha, slack).own


def _flat(given: Counts) -> float:
    _, flat, chosen, draws, sigma, alpha, slack = given
    lower = max(0.0, lower_bound(int(flat[chosen]), draws, 0.9 * alpha) - slack)
    rival = upper_bound(int(np.delete(flat, chosen).max()), draws, 0.1 * alpha) + slack
    rival = min(rival, 1.0 - lower)
    return sigma / 2 * float(ndtri(lower) - ndtri(rival)) if lower > rival else 0.0


def _renormalised(given: Counts) -> float:
    _, flat, chosen, _, sigma, alpha, slack = given
    return one_sided(np.array([*flat, 0]), chosen, sigma, alpha, slack).own if flat.sum() else 0.0


def changes(systems: Mapping[str, Sequence[Answer]]) -> dict[str, dict[str, Any]]:
    """How each input's radius changes from the flat network to its leaf given the branch.

    The ratios are those of inputs that the flat network answers right and certifies; `down` are the ones below 1, a
    leaf that answers wrong or certifies nothing among them.
    """
    told = {}
    for name in ("restricted, given the branch", "retrained, given the branch"):
        pairs = [(a.counted, b.counted) for a, b in zip(systems["flat"], systems[name], strict=True)]
        ratios = sorted(after / before for before, after in pairs if before > 0)
        told[name] = {
            "compared": len(ratios),
            "down": sum(ratio < 1 for ratio in ratios),
            "up": sum(ratio > 1 for ratio in ratios),
            "newly certified": sum(before == 0 and after > 0 for before, after in pairs),
            "median": float(np.median(ratios)) if ratios else None,
            "largest": ratios[-1] if ratios else None,
            "ratios": [round(ratio, 4) for ratio in ratios],
        }
    return told
