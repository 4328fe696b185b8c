"""Bounds through affine operations: the centre goes through W, the radius through |W|."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from hiercls.words.errors import HierclsError
from hiercls_plugins.bounds.boxes import Box
from hiercls_plugins.bounds.rounding import PLAIN, TINY, Rounding
from hiercls_plugins.bounds.statistics import Normalising

NORMALISING = 16
"""Roundings of scale and shift: the scale from its variance, the two products, the two sums, with room."""

Weighted = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]
"""A map (values, weight, bias) that is linear in weight and values."""


def weighted(x: Box, apply: Weighted, weight: torch.Tensor, bias: torch.Tensor | None, rounding: Rounding) -> Box:
    """The box of Wv + b over v in the box `x`."""
    centre = apply(x.centre, weight, bias)
    if not rounding:
        return Box(centre, apply(x.radius, weight.abs(), None))
    growth = rounding.growth(weight[0].numel() if weight.dim() > 1 else weight.numel())
    spread = x.radius + growth * x.magnitude + TINY
    radius = apply(spread, weight.abs() + TINY, None if bias is None else growth * bias.abs())
    return rounding.widened(Box(centre, radius * (1 + growth)), 1, total=radius / growth)  # >= |W||v| + |b|


def application(layer: nn.Module) -> Weighted:
    """How a layer applies a weight and a bias, with its strides, padding and groups."""
    if isinstance(layer, nn.Linear):
        return F.linear
    assert isinstance(layer, nn.Conv1d | nn.Conv2d)
    return layer._conv_forward


def matrix(layer: nn.Module, x: Box, rounding: Rounding) -> Box:
    """nn.Linear, nn.Conv1d and nn.Conv2d."""
    return weighted(x, application(layer), layer.weight, layer.bias, rounding)  # type: ignore[arg-type]


def linear(rounding: Rounding, x: Box, weight: torch.Tensor, bias: torch.Tensor | None = None) -> Box:
    return weighted(x, F.linear, weight, bias, rounding)


def convolution(
    rounding: Rounding, x: Box, weight: torch.Tensor, bias: torch.Tensor | None = None, *rest: Any, **more: Any
) -> Box:
    return weighted(x, lambda v, w, b: F.conv2d(v, w, b, *rest, **more), weight, bias, rounding)


def batch_norm(parts: Normalising, x: Box, rounding: Rounding) -> Box:
    """nn.BatchNorm1d and nn.BatchNorm2d as (v - mean) scale + shift."""
    shape = (1, -1) + (1,) * (x.centre.dim() - 2)
    scale, mean, shift = (part.reshape(shape) for part in parts)
    moved = Box((x.centre - mean) * scale + shift, x.radius * scale.abs())
    if not rounding:
        return moved
    size = x.magnitude + mean.abs() + TINY
    total = size * scale.abs() + shift.abs()
    radius = moved.radius + NORMALISING * rounding.unit * total + TINY * size
    return rounding.widened(Box(moved.centre, radius), 1, total + scale.abs())


def folded(layer: nn.Module, parts: Normalising, x: Box) -> Box:
    """A layer and the batch norm after it as one affine map, without rounding: two passes less over the outputs."""
    return weighted(x, application(layer), *folded_weights(layer, parts), PLAIN)


def folded_weights(layer: nn.Module, parts: Normalising) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of a layer and the batch norm after it."""
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, torch.Tensor)
    scale, mean, shift = parts
    offset = shift - mean * scale if bias is None else (bias - mean) * scale + shift  # type: ignore[operator]
    return weight * scale.reshape(-1, *(1,) * (weight.dim() - 1)), offset


def average(pool: Callable[[torch.Tensor], torch.Tensor], terms: int, x: Box, rounding: Rounding) -> Box:
    """A mean over at most `terms` entries each, which are added up first."""
    if not rounding:
        return x.moved(pool)
    growth = rounding.growth(terms)
    radius = pool(x.radius + growth * x.magnitude)
    return rounding.widened(Box(pool(x.centre), radius * (1 + growth)), 1, total=terms * x.magnitude)


def add(rounding: Rounding, x: object, y: object, *, alpha: float = 1) -> Box:
    """x + alpha y; at least one is a box, the other may be a constant."""
    if alpha != 1:
        y = multiply(rounding, y, alpha) if isinstance(y, Box) else y * alpha  # type: ignore[operator]
    return _combined(rounding, _centre(x) + _centre(y), x, y)


def subtract(rounding: Rounding, x: object, y: object, *, alpha: float = 1) -> Box:
    if alpha != 1:
        y = multiply(rounding, y, alpha) if isinstance(y, Box) else y * alpha  # type: ignore[operator]
    return _combined(rounding, _centre(x) - _centre(y), x, y)


def multiply(rounding: Rounding, x: object, y: object) -> Box:
    """A box times a constant, in either order."""
    if isinstance(x, Box) and isinstance(y, Box):
        raise HierclsError("bounds: a product of two activations is not affine and has no rule")
    box, factor = (x, y) if isinstance(x, Box) else (y, x)
    assert isinstance(box, Box)
    factor = as_number(factor)
    size = abs(factor)
    radius = box.radius * size
    if rounding:
        radius = radius + TINY * (box.magnitude + size)
    return rounding.widened(Box(box.centre * factor, radius), 4)  # type: ignore[operator]


def divide(rounding: Rounding, x: object, y: object) -> Box:
    if isinstance(y, Box):
        raise HierclsError("bounds: a division by an activation is not affine and has no rule")
    y = as_number(y)
    if rounding and bool((torch.as_tensor(y).abs() < 2.0**-126).any()):
        raise HierclsError("bounds: a division by less than the smallest normal float32 has no rule")
    return multiply(rounding, x, 1 / y)  # type: ignore[operator]


def negate(rounding: Rounding, x: Box) -> Box:
    return Box(-x.centre, x.radius)


def as_number(value: Any) -> Any:
    """A constant as torch takes it in arithmetic with a float: a mask of truths is one of 0 and 1."""
    return value.to(torch.uint8) if isinstance(value, torch.Tensor) and value.dtype == torch.bool else value


def _centre(value: object) -> torch.Tensor:
    return value.centre if isinstance(value, Box) else value  # type: ignore[return-value]


def _combined(rounding: Rounding, centre: torch.Tensor, x: object, y: object) -> Box:
    """A sum or difference with its centre; a constant adds no radius and may be of another shape."""
    boxes = [value for value in (x, y) if isinstance(value, Box)]
    radius = sum((box.radius for box in boxes), torch.zeros_like(centre))
    if not rounding:
        return Box(centre, radius)
    total = torch.zeros_like(centre)
    for value in (x, y):
        total = total + (value.magnitude if isinstance(value, Box) else abs(as_number(value)))  # type: ignore[arg-type]
    return rounding.widened(Box(centre, radius + 4 * rounding.unit * total), 1, total)
