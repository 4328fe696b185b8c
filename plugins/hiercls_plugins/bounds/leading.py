"""Which outputs are beaten over a whole box, by interval bounds first and by linear bounds where those fail."""

import torch

from hiercls.values.heads import Head
from hiercls_plugins.bounds.bounded import Bounded, Features
from hiercls_plugins.bounds.crown import Crown
from hiercls_plugins.bounds.exclusion import children_margins, leads, output_errors
from hiercls_plugins.bounds.rounding import Rounding


def crown_margins(bounded: Bounded, features: Features, head: Head, rounding: Rounding) -> torch.Tensor:
    """By how much each child is excluded, (N, children); positive where no point of the box makes the head choose it.

    A cascade that stops at the first proof: interval bounds, linear bounds with adaptive slopes, and
    with zero slopes. For each output the linear bounds are asked of the one leader whose interval margin is best.
    Each proof stands alone, so that the best of three is one too.
    """
    allowed = torch.tensor(head.allowed, device=features.weight.device)
    best, leaders = best_leads(features, head.allowed, rounding)
    top = best.argmin(dim=1)
    for adaptive in (True, False):
        wanted = best <= 0
        wanted[torch.arange(len(top)), top] = False
        if not bool(wanted.any()):
            break
        linear = _margins(bounded, features, allowed, leaders, top, adaptive, rounding)
        best = torch.where(wanted, torch.maximum(best, linear), best)  # a row must not see what others still want
    return children_margins(best, head)


def best_leads(features: Features, allowed: tuple[int, ...], rounding: Rounding) -> tuple[torch.Tensor, torch.Tensor]:
    """For each allowed output the best interval margin over it, and whose it is; both (N, allowed)."""
    every = torch.stack(list(leads(features, allowed, rounding)), dim=2)
    every = torch.where(every.isfinite(), every, -torch.inf)
    every.diagonal(dim1=1, dim2=2).fill_(-torch.inf)
    best = every.max(dim=2)
    return best.values, best.indices


def _margins(
    bounded: Bounded,
    features: Features,
    allowed: torch.Tensor,
    leaders: torch.Tensor,
    top: torch.Tensor,
    adaptive: bool,
    rounding: Rounding,
) -> torch.Tensor:
    """The leads that linear bounds prove, (N, allowed); minus infinity for the output that is beaten least."""
    count = len(allowed)
    rest = torch.arange(count, device=allowed.device).expand(len(top), count)
    rest = rest[rest != top[:, None]].reshape(len(top), count - 1)
    ahead = leaders.gather(1, rest)
    identity = torch.eye(len(features.weight), dtype=features.weight.dtype, device=allowed.device)
    rows = identity[allowed[ahead]] - identity[allowed[rest]]
    margins = Crown(bounded, features).lowest(rows, adaptive)
    errors, safe = output_errors(features, tuple(allowed.tolist()), rounding)
    margins = margins - errors.gather(1, ahead) - errors.gather(1, rest)
    proved = torch.where(margins.isfinite() & safe, margins, -torch.inf)
    return torch.full_like(errors, -torch.inf).scatter_(1, rest, proved)
