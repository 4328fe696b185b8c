"""Bounds through monotone operations: the corners go through, the box is centred anew."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from hiercls_plugins.bounds.boxes import Box, between
from hiercls_plugins.bounds.rounding import Rounding

SMOOTH = 16
"""Units in the last place that an implementation of a smooth function may err by, with room."""


SMALLEST_NORMAL = 2.0**-126
"""A smaller number loses digits in float32, or is flushed to 0."""


def monotone(function: Callable[[torch.Tensor], torch.Tensor], x: Box, rounding: Rounding, roundings: int = 1) -> Box:
    """A non-decreasing function, entrywise or a pooling maximum.

    A row that may have overflowed stays unbounded: a function whose values are bounded would hide it.
    """
    found = rounding.widened(between(function(x.lower), function(x.upper)), roundings)
    if not rounding:
        return found
    finite = (x.centre.isfinite() & x.radius.isfinite()).flatten(1).all(dim=1)
    return Box(found.centre, torch.where(finite.view(-1, *(1,) * (found.radius.dim() - 1)), found.radius, torch.inf))


def relu(rounding: Rounding, x: Box, inplace: bool = False) -> Box:
    centre, radius = _Relu.apply(x.centre, x.radius)
    return rounding.widened(Box(centre, radius), 1)


def leaky_relu(rounding: Rounding, x: Box, negative_slope: float = 0.01, inplace: bool = False) -> Box:
    if not isinstance(negative_slope, float | int):
        raise TypeError("its slope is not a number")
    if rounding and 0 < abs(negative_slope) < SMALLEST_NORMAL:
        raise TypeError("its slope is less than the smallest normal float32")
    if negative_slope < 0:
        return rounding.widened(Box(*_folded_back(x, negative_slope)), 4)
    return monotone(lambda v: F.leaky_relu(v, negative_slope), x, rounding, 4)


def sigmoid(rounding: Rounding, x: Box) -> Box:
    return monotone(torch.sigmoid, x, rounding, SMOOTH)


def tanh(rounding: Rounding, x: Box) -> Box:
    return monotone(torch.tanh, x, rounding, SMOOTH)


def max_pool(rounding: Rounding, x: Box, *arguments: Any, return_indices: bool = False, **options: Any) -> Box:
    if return_indices:
        raise TypeError("it gives places too")
    return monotone(lambda v: F.max_pool2d(v, *arguments, **options), x, rounding)


def _folded_back(x: Box, slope: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A leaky ReLU of negative slope has its minimum, 0, at 0."""
    ends = F.leaky_relu(x.lower, slope), F.leaky_relu(x.upper, slope)
    crosses = (x.lower < 0) & (x.upper > 0)
    lowest = torch.where(crosses, 0.0, torch.minimum(*ends))
    box = between(lowest, torch.maximum(*ends))
    return box.centre, box.radius


class _Relu(torch.autograd.Function):
    """The ReLU of a box in four passes, from which its gradient needs nothing but the result.

    Where both signs occur the corners become 0 and c + r, so that centre and radius are both (c + r) / 2; below, they
    are both 0; above, nothing changes, and there alone is the new centre larger than the new radius.
    """

    @staticmethod
    def forward(ctx: Any, centre: torch.Tensor, radius: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        half = torch.lerp(centre, radius, 0.5).relu_()
        half = torch.minimum(half, radius, out=half)
        middle = torch.maximum(centre, half)
        ctx.save_for_backward(middle, half)
        return middle, half

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, by_centre: torch.Tensor, by_radius: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        middle, radius = ctx.saved_tensors
        together = _where_positive_(torch.lerp(by_centre, by_radius, 0.5), middle)
        above = middle - radius
        apart = _where_positive_(by_centre - by_radius, above)
        return torch.add(together, apart, alpha=0.5, out=above), together.sub_(apart, alpha=0.5)


def _where_positive_(gradient: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """The gradient of a ReLU with these outputs, in place."""
    return torch.ops.aten.threshold_backward.grad_input(gradient, values, 0, grad_input=gradient)
