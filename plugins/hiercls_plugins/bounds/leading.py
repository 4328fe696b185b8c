"""Which outputs are beaten over a whole box, by interval bounds first and by linear bounds where those fail."""

import torch

from hiercls.values.heads import Head
from hiercls_plugins.bounds.bounded import Bounded, Features
from hiercls_plugins.bounds.crown import Crown
from hiercls_plugins.bounds.exclusion import children_beaten, leads, output_errors
from hiercls_plugins.bounds.rounding import Rounding


def excluded_by_crown(bounded: Bounded, features: Features, head: Head, rounding: Rounding) -> torch.Tensor:
    """Whether no point of the box makes the head choose a child, (N, children) bool.

    A cascade that stops at the first proof for all inputs: interval bounds, linear bounds with adaptive slopes, and
    with zero slopes. For each output the linear bounds are asked of the one leader whose interval margin is best.
    Each proof stands alone, so that the best of three is one too.
    """
    allowed = torch.tensor(head.allowed, device=features.weight.device)
    margins, leaders = best_leads(features, head.allowed, rounding)
    beaten = (margins > 0) & margins.isfinite()
    top = margins.argmin(dim=1)
    for adaptive in (True, False):
        wanted = ~beaten
        wanted[torch.arange(len(top)), top] = False
        if not bool(wanted.any()):
            break
        beaten |= _beaten(bounded, features, allowed, leaders, top, adaptive, rounding)
    return children_beaten(beaten, head)


def best_leads(features: Features, allowed: tuple[int, ...], rounding: Rounding) -> tuple[torch.Tensor, torch.Tensor]:
    """For each allowed output the best interval margin over it, and whose it is; both (N, allowed)."""
    every = torch.stack(list(leads(features, allowed, rounding)), dim=2)
    every.diagonal(dim1=1, dim2=2).fill_(-torch.inf)
    best = every.max(dim=2)
    return best.values, best.indices


def _beaten(
    bounded: Bounded,
    features: Features,
    allowed: torch.Tensor,
    leaders: torch.Tensor,
    top: torch.Tensor,
    adaptive: bool,
    rounding: Rounding,
) -> torch.Tensor:
    """Which outputs linear bounds exclude, (N, allowed); never the one that is beaten least."""
    count = len(allowed)
    rest = torch.arange(count, device=allowed.device).expand(len(top), count)
    rest = rest[rest != top[:, None]].reshape(len(top), count - 1)
    ahead = leaders.gather(1, rest)
    identity = torch.eye(len(features.weight), dtype=features.weight.dtype, device=allowed.device)
    rows = identity[allowed[ahead]] - identity[allowed[rest]]
    margins = Crown(bounded, features).lowest(rows, adaptive)
    errors, safe = output_errors(features, tuple(allowed.tolist()), rounding)
    margins = margins - errors.gather(1, ahead) - errors.gather(1, rest)
    holds = (margins > 0) & margins.isfinite() & safe
    return torch.zeros_like(leaders, dtype=torch.bool).scatter_(1, rest, holds)
