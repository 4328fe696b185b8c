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
    beaten = torch.zeros(len(features.box.centre), len(head.allowed), dtype=torch.bool, device=features.weight.device)
    for margins in leads(features, head.allowed, rounding):
        beaten |= (margins > 0) & margins.isfinite()
    child = torch.tensor(head.child_of, device=beaten.device)
    return torch.stack([beaten[:, child == c].all(dim=1) for c in range(len(head.children))], dim=1)


def leads(features: Features, allowed: tuple[int, ...], rounding: Rounding) -> Iterator[torch.Tensor]:
    """For each allowed output i in turn, lower bounds of y_i - y_j for every allowed j, (N, allowed).

    The difference of two rows is taken before the radius goes through, so that what both see cancels. A
    deployed network computes the two rows apart: their errors add up. Where an allowed output may overflow, the
    network may abstain: then no output leads.
    """
    weight, bias, box = features.weight[list(allowed)], features.bias[list(allowed)], features.box
    growth = rounding.growth(weight.shape[1]) if rounding else 0.0
    tiny = TINY if rounding else 0.0
    totals = (box.magnitude + tiny) @ (weight.abs() + tiny).T + bias.abs()
    safe = (totals <= LARGEST).all(dim=1, keepdim=True)
    errors = growth * totals * (1 + growth) + tiny
    for output in range(len(allowed)):
        rows = weight[output] - weight
        middle = box.centre @ rows.T + (bias[output] - bias)
        margins = middle - box.radius @ rows.abs().T * (1 + growth) - errors - errors[:, output, None]
        yield torch.where(safe, margins, -torch.inf)
