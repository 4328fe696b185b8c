"""Which children a box excludes: every output of theirs is beaten over the whole box."""

from collections.abc import Iterator

import torch

from hiercls.values.heads import Head
from hiercls_plugins.bounds.bounded import Features
from hiercls_plugins.bounds.rounding import LARGEST, TINY, Rounding


def excluded(features: Features, head: Head, rounding: Rounding) -> torch.Tensor:
    """Whether no point of the box makes the head choose a child, (N, children) bool.

    Child c is excluded when for every output j of c some allowed output i has y_i - y_j > 0 over the whole box;
    i may depend on j. Then at any point the largest output of c is beaten, by one that is outside c because it
    is larger. Ties, NaN and infinities exclude nothing.
    """
    return exclusion_margins(features, head, rounding) > 0


def exclusion_margins(features: Features, head: Head, rounding: Rounding) -> torch.Tensor:
    """By how much each child is excluded, (N, children); minus infinity where nothing can be said.

    The best lead over each of its outputs, and the smallest of them.
    """
    best = torch.full((1,), -torch.inf, dtype=features.weight.dtype, device=features.weight.device)
    for output, margins in enumerate(leads(features, head.allowed, rounding)):
        margins[:, output] = -torch.inf  # none leads itself, however nearly
        best = torch.maximum(best, torch.where(margins.isfinite(), margins, -torch.inf))
    return children_margins(best, head)


def children_margins(best: torch.Tensor, head: Head) -> torch.Tensor:
    """The smallest lead over any output of each child, (N, children), from the best leads (N, allowed)."""
    child = torch.tensor(head.child_of, device=best.device)
    return torch.stack([best[:, child == c].amin(dim=1) for c in range(len(head.children))], dim=1)


def leads(features: Features, allowed: tuple[int, ...], rounding: Rounding) -> Iterator[torch.Tensor]:
    """For each allowed output i in turn, lower bounds of y_i - y_j for every allowed j, (N, allowed).

    The difference of two rows is taken before the radius goes through, so that what both see cancels. A
    deployed network computes the two rows apart: their errors add up. Where an allowed output may overflow, the
    network may abstain: then no output leads.
    """
    weight, bias, box = features.weight[list(allowed)], features.bias[list(allowed)], features.box
    growth = rounding.growth(weight.shape[1]) if rounding else 0.0
    errors, safe = output_errors(features, allowed, rounding)
    for output in range(len(allowed)):
        rows = weight[output] - weight
        middle = box.centre @ rows.T + (bias[output] - bias)
        margins = middle - box.radius @ rows.abs().T * (1 + growth) - errors - errors[:, output, None]
        yield torch.where(safe, margins, -torch.inf)


def output_errors(
    features: Features, allowed: tuple[int, ...], rounding: Rounding
) -> tuple[torch.Tensor, torch.Tensor]:
    """What float32 may err in each allowed output, (N, allowed), and whether none of them may overflow, (N, 1)."""
    weight, bias, box = features.weight[list(allowed)], features.bias[list(allowed)], features.box
    growth = rounding.growth(weight.shape[1]) if rounding else 0.0
    tiny = TINY if rounding else 0.0
    totals = (box.magnitude + tiny) @ (weight.abs() + tiny).T + bias.abs()
    safe = (totals <= LARGEST).all(dim=1, keepdim=True)
    return growth * totals * (1 + growth) + tiny, safe
