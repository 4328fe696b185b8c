"""What the attack climbs, and from where."""

import torch

from hiercls.contracts.context import Context
from hiercls.values.views import Inputs

_STARTS = 1


def margin(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The best target child's score over the best other child's, (N,); above 0 the goal is reached.

    Args:
        scores: (N, children), -inf for a child that is not allowed.
        targets: (N, children) bool. Rows without a target that can be chosen are -inf, or NaN where no other
            child can be either.
    """
    targets = targets.to(scores.device)
    aimed = scores.masked_fill(~targets, -torch.inf).amax(dim=1)
    rest = scores.masked_fill(targets, -torch.inf).amax(dim=1)
    return aimed - rest


def starts(inputs: Inputs, context: Context) -> list[torch.Generator]:
    """One generator an input, named by its place in the split: its starts do not depend on the batch."""
    return [context.generator(_STARTS, int(index)) for index in inputs.index]
