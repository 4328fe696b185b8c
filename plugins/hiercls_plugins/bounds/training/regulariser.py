"""What keeps boxes tight and ReLUs balanced while the budget rises (Shi et al. 2021, section 4.3)."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from hiercls_plugins.bounds.boxes import Box

TOLERANCE = 0.5
SMALL = 1e-12


def penalty(entry: Box, before_relu: Sequence[Box]) -> torch.Tensor:
    """The mean over the ReLUs of their looseness and of their imbalance; each is 0 where all is well.

    A layer without a surely active or without a surely inactive neuron has no imbalance, as in the authors' code.
    """
    terms = [looseness(entry, box) + imbalance(box) for box in before_relu]
    return torch.stack(terms).mean() if terms else entry.radius.new_zeros(())


def looseness(entry: Box, box: Box) -> torch.Tensor:
    """How far the mean radius has grown beyond 1 / TOLERANCE of the input's."""
    return F.relu(TOLERANCE - entry.radius.mean() / box.radius.mean().clamp_min(SMALL)) / TOLERANCE


def imbalance(box: Box) -> torch.Tensor:
    """How unequally surely active and surely inactive neurons share the centres' mean and variance."""
    mean = box.centre.mean()
    figures = _Shares.apply(box.centre, box.radius)
    active, inactive = figures[:3], figures[3:]
    spreads = _spread(active, mean), _spread(inactive, mean)
    return _unequal(active[1], -inactive[1]) + _unequal(*spreads)


def _spread(figures: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """The sum of squares around a mean, from count, sum and sum of squares."""
    count, total, squares = figures
    return squares - 2 * mean * total + mean**2 * count


def _unequal(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    if not bool((one > 0) & (other > 0)):
        return torch.zeros_like(one)
    ratio = one / other
    return F.relu(TOLERANCE - torch.minimum(ratio, 1 / ratio)) / TOLERANCE


class _Shares(torch.autograd.Function):
    """Count, sum and sum of squares of the centres, over surely active and over surely inactive neurons."""

    @staticmethod
    def forward(ctx: Any, centre: torch.Tensor, radius: torch.Tensor) -> torch.Tensor:
        active, inactive = (centre > radius).to(centre.dtype), (centre < -radius).to(centre.dtype)
        ctx.save_for_backward(centre, active, inactive)
        return torch.stack([figure for mask in (active, inactive) for figure in _figures(centre, mask)])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, by: torch.Tensor) -> tuple[torch.Tensor, None]:
        centre, active, inactive = ctx.saved_tensors
        by_active = (centre * (2 * by[2])).add_(by[1]).mul_(active)
        return by_active.add_((centre * (2 * by[5])).add_(by[4]).mul_(inactive)), None


def _figures(centre: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    chosen = (centre * mask).flatten()
    return mask.sum(), chosen.sum(), torch.dot(chosen, chosen)
