"""Bounds through monotone operations: the corners go through, the box is centred anew."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from hiercls_plugins.bounds.boxes import Box, between
from hiercls_plugins.bounds.rounding import Rounding

SMOOTH = 16
"""Units in the last place that an implementation of a smooth function may err by, with room."""


def monotone(function: Callable[[torch.Tensor], torch.Tensor], x: Box, rounding: Rounding, roundings: int = 1) -> Box:
    """A non-decreasing function, entrywise or a pooling maximum."""
    return rounding.widened(between(function(x.lower), function(x.upper)), roundings)


def relu(rounding: Rounding, x: Box, inplace: bool = False) -> Box:
    centre, radius = _Relu.apply(x.centre, x.radius)
    return rounding.widened(Box(centre, radius), 1)


def leaky_relu(rounding: Rounding, x: Box, negative_slope: float = 0.01, inplace: bool = False) -> Box:
    if negative_slope < 0:
        return rounding.widened(Box(*_folded_back(x, negative_slope)), 4)
    return monotone(lambda v: F.leaky_relu(v, negative_slope), x, rounding, 4)


def sigmoid(rounding: Rounding, x: Box) -> Box:
    return monotone(torch.sigmoid, x, rounding, SMOOTH)


def tanh(rounding: Rounding, x: Box) -> Box:
    return monotone(torch.tanh, x, rounding, SMOOTH)


def max_pool(rounding: Rounding, x: Box, *arguments: Any, **options: Any) -> Box:
    return monotone(lambda v: F.max_pool2d(v, *arguments, **options), x, rounding)


def _folded_back(x: Box, slope: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A leaky ReLU of negative slope has its minimum, 0, at 0."""
    ends = F.leaky_relu(x.lower, slope), F.leaky_relu(x.upper, slope)
    crosses = (x.lower < 0) & (x.upper > 0)
    lowest = torch.where(crosses, 0.0, torch.minimum(*ends))
    box = between(lowest, torch.maximum(*ends))
    return box.centre, box.radius


class _Relu(torch.autograd.Function):
    """The recentred ReLU of a box in six passes, where autograd through the formulas takes ten."""

    @staticmethod
    def forward(ctx: Any, centre: torch.Tensor, radius: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        lower = (centre - radius).relu_()
        upper = (centre + radius).relu_()
        ctx.save_for_backward(lower, upper)
        middle = torch.lerp(lower, upper, 0.5)
        return middle, upper - middle

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, by_centre: torch.Tensor, by_radius: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        lower, upper = ctx.saved_tensors
        by_lower = _where_positive_(by_centre - by_radius, lower)
        by_upper = _where_positive_(by_centre + by_radius, upper)
        middle = torch.lerp(by_lower, by_upper, 0.5)
        return middle, by_upper.sub_(middle)


def _where_positive_(gradient: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """The gradient of a ReLU with these outputs, in place."""
    return torch.ops.aten.threshold_backward.grad_input(gradient, values, 0, grad_input=gradient)
