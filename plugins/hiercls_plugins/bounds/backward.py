"""Rows of coefficients pulled back through one operation.

A row a stands for the lower bound a . v + b of something the network computes further on. Pulled back through
v = Wu + w it is aW, and a . w joins b. Rows are (N, R, ...): R rows for each of N inputs.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from hiercls_plugins.bounds.boxes import Box
from hiercls_plugins.bounds.statistics import Normalising

Pulled = tuple[torch.Tensor, torch.Tensor]
"""Rows on the operation's input, and what joins b, (N, R)."""

AFFINE: frozenset[Any] = frozenset(
    (nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Unflatten, nn.ZeroPad2d, nn.ConstantPad2d)
    + (nn.ReflectionPad2d, nn.Identity, nn.Dropout, nn.Dropout2d)
    + (F.linear, F.conv2d, F.avg_pool2d, F.adaptive_avg_pool2d, F.pad, torch.flatten, torch.reshape, torch.mean)
    + (torch.cat, operator.getitem, operator.add, operator.iadd, torch.add, operator.sub, operator.isub, torch.sub)
    + (operator.mul, operator.imul, torch.mul, operator.truediv, operator.itruediv, torch.div, operator.neg, torch.neg)
    + ("view", "reshape", "flatten", "contiguous", "squeeze", "unsqueeze", "permute", "transpose", "expand", "mean")
    + ("add", "add_", "sub", "sub_", "mul", "mul_", "div", "div_")
)
"""Operations that are affine in all that depends on the input; what is in no table is bounded by its box."""

RELUS: frozenset[Any] = frozenset((nn.ReLU, nn.LeakyReLU, F.relu, F.leaky_relu, torch.relu, "relu", "relu_"))


def through_linear(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> Pulled:
    """A dense layer along the last axis, whatever axes lie between."""
    sums = rows.flatten(2, -2).sum(dim=2) if rows.dim() > 3 and bias is not None else rows
    return rows @ weight, _constant(sums, bias)


def through_convolution(
    rows: torch.Tensor, layer: nn.Conv2d, weight: torch.Tensor, bias: torch.Tensor | None, size: Sequence[int]
) -> Pulled:
    """A convolution with zeros around its input.

    Args:
        size: height and width of the input.
    """
    rest = [
        whole - ((out - 1) * stride - 2 * pad + spread * (kernel - 1) + 1)
        for whole, out, stride, pad, spread, kernel in zip(
            size, rows.shape[-2:], layer.stride, _padding(layer), layer.dilation, layer.kernel_size, strict=True
        )
    ]
    back = F.conv_transpose2d(
        rows.flatten(0, 1), weight, None, layer.stride, _padding(layer), rest, layer.groups, layer.dilation
    )
    maps = rows.flatten(3).sum(dim=3) if bias is not None else rows
    return back.unflatten(0, rows.shape[:2]), _constant(maps, bias)


def plainly_padded(layer: nn.Module) -> bool:
    """Whether a layer is a convolution that `through_convolution` knows."""
    return isinstance(layer, nn.Conv2d) and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)


def through_norm(rows: torch.Tensor, parts: Normalising) -> Pulled:
    shape = (1, 1, -1) + (1,) * (rows.dim() - 3)
    sums = rows.flatten(3).sum(dim=3) if rows.dim() > 3 else rows
    return rows * parts.scale.reshape(shape), sums @ (parts.shift - parts.mean * parts.scale)


def through_affine(rows: torch.Tensor, apply: Callable[..., torch.Tensor], inputs: Sequence[Box]) -> list[Pulled]:
    """Any operation that is affine in all of its inputs together, by its own gradient.

    Args:
        apply: from one tensor an input to the operation's result.
        inputs: the boxes that it was given, for their shapes.

    Returns:
        One pair an input; the constant is in the first.
    """
    wanted = torch.is_grad_enabled()
    with torch.enable_grad():
        zeros = [torch.zeros_like(box.centre, requires_grad=True) for box in inputs]
        offset = apply(*(zero.clone() for zero in zeros))  # an operation in place may not overwrite a leaf
        pulled = [
            torch.autograd.grad(offset, zeros, row, create_graph=wanted, retain_graph=True) for row in rows.unbind(1)
        ]
    offset = offset if wanted else offset.detach()
    constant = (rows * offset[:, None]).flatten(2).sum(dim=2)
    back = [torch.stack(parts, dim=1) for parts in zip(*pulled, strict=True)]
    return [(back[0], constant), *((part, torch.zeros_like(constant)) for part in back[1:])]


def through_relu(rows: torch.Tensor, before: Box, slope: float, adaptive: bool) -> Pulled:
    """The lines below and above max(v, slope v) over its box (Zhang et al. 2018).

    Above: the chord. Below, for neurons that may have either sign: the steeper of the two lines through 0 where it
    is closer and `adaptive`, else the flatter one.
    """
    lower, upper = before.lower.clamp_max(0), before.upper.clamp_min(0)
    width = upper - lower
    chord = (upper - slope * lower) / torch.where(width > 0, width, 1)
    chord = torch.where(width > 0, chord, slope)
    steep = upper > -lower if adaptive else (lower == 0) & (upper > 0)
    below = torch.where(steep, 1.0, slope).to(upper)
    helps, hurts = rows.clamp_min(0), rows.clamp_max(0)
    constant = (hurts * ((slope - chord) * lower)[:, None]).flatten(2).sum(dim=2)
    return helps * below[:, None] + hurts * chord[:, None], constant


def concretised(rows: torch.Tensor, box: Box) -> torch.Tensor:
    """The lowest value of rows over a box, (N, R)."""
    flat = rows.flatten(2)
    middle = flat @ box.centre.flatten(1)[:, :, None]
    return (middle - flat.abs() @ box.radius.flatten(1)[:, :, None]).squeeze(2)


def _constant(rows: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return rows.new_zeros(rows.shape[:2]) if bias is None else rows @ bias


def _padding(layer: nn.Conv2d) -> tuple[int, ...]:
    assert isinstance(layer.padding, tuple)
    return layer.padding
