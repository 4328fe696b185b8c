"""The operations that can be bounded: one rule each, in three tables that name them all."""

import operator
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from hiercls.words.errors import HierclsError
from hiercls_plugins.bounds import affine, monotone
from hiercls_plugins.bounds.boxes import Box
from hiercls_plugins.bounds.rounding import Rounding
from hiercls_plugins.bounds.statistics import running

LayerRule = Callable[[Any, Box, Rounding], Box]
FunctionRule = Callable[..., Any]

MATRICES: tuple[type[nn.Module], ...] = (nn.Linear, nn.Conv1d, nn.Conv2d)
"""Layers with a weight and a bias, into which a batch norm after them folds."""

NORMS: tuple[type[nn.Module], ...] = (nn.BatchNorm1d, nn.BatchNorm2d)


def moving(function: Callable[..., torch.Tensor]) -> FunctionRule:
    """The rule of a function that only moves, repeats or drops entries."""
    return lambda rounding, x, *arguments, **options: x.moved(lambda v: function(v, *arguments, **options))


def _layer(function: FunctionRule, *attributes: str) -> LayerRule:
    """The rule of a layer that calls a function with some of its attributes."""
    return lambda layer, x, rounding: function(rounding, x, *(getattr(layer, name) for name in attributes))


def _pad(rounding: Rounding, x: Box, pad: Any, mode: str = "constant", value: float | None = None) -> Box:
    if mode != "constant":
        return x.moved(lambda v: F.pad(v, pad, mode))
    filled = value or 0.0
    return Box(F.pad(x.centre, pad, value=filled), F.pad(x.radius, pad, value=2 * rounding.unit * abs(filled)))


def _max_pool_layer(layer: Any, x: Box, rounding: Rounding) -> Box:
    options = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
    return monotone.max_pool(rounding, x, **{name: getattr(layer, name) for name in options})


def _average_pool(
    rounding: Rounding,
    x: Box,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Box:
    require_divisor(divisor_override)
    sides = kernel_size if isinstance(kernel_size, tuple | list) else (kernel_size,)
    terms = prod(sides) if len(sides) == 2 else sides[0] ** 2
    options = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return affine.average(lambda v: F.avg_pool2d(v, *options), terms, x, rounding)


def require_divisor(divisor: int | None) -> None:
    """Refuse a mean that turns signs."""
    if divisor is not None and divisor <= 0:
        raise HierclsError(
            f"bounds: an average pool divides by divisor_override = {divisor}; only 1 and more have a rule"
        )


def _adaptive_pool(rounding: Rounding, x: Box, output_size: Any) -> Box:
    terms = x.centre[0].numel()
    return affine.average(lambda v: F.adaptive_avg_pool2d(v, output_size), terms, x, rounding)


def _mean(rounding: Rounding, x: Box, *arguments: Any, **options: Any) -> Box:
    if len(arguments) > 2 or options.get("dtype") is not None:
        raise HierclsError("bounds: a mean in another dtype than its input's has no rule")
    axes = arguments[0] if arguments else options.get("dim", options.get("axis"))
    every = axes is None or (isinstance(axes, tuple | list) and not axes)
    _refuse_batch(x, (0,) if every else axes if isinstance(axes, tuple | list) else (axes,))
    return affine.average(lambda v: v.mean(*arguments, **options), x.centre[0].numel(), x, rounding)


def _concatenated(rounding: Rounding, boxes: Any, dim: int = 0) -> Box:
    boxes = [box if isinstance(box, Box) else Box(box, 2 * rounding.unit * box.abs()) for box in boxes]
    _refuse_batch(boxes[0], (dim,))
    return Box(torch.cat([box.centre for box in boxes], dim), torch.cat([box.radius for box in boxes], dim))


def _refuse_batch(x: Box, axes: Sequence[int]) -> None:
    if any(axis % x.centre.dim() == 0 for axis in axes):
        raise HierclsError("bounds: an operation along the batch makes a row depend on its neighbours and has no rule")


def _shape(rounding: Rounding, x: Box, name: str) -> Any:
    """One of SHAPE_ATTRIBUTES; a trace refuses others."""
    return getattr(x.centre, name)


LAYERS: Mapping[type[nn.Module], LayerRule] = {
    **dict.fromkeys(MATRICES, affine.matrix),
    **dict.fromkeys(NORMS, lambda layer, x, rounding: affine.batch_norm(running(layer), x, rounding)),
    nn.ReLU: _layer(monotone.relu),
    nn.LeakyReLU: _layer(monotone.leaky_relu, "negative_slope"),
    nn.Sigmoid: _layer(monotone.sigmoid),
    nn.Tanh: _layer(monotone.tanh),
    nn.MaxPool2d: _max_pool_layer,
    nn.AvgPool2d: _layer(
        _average_pool, "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"
    ),
    nn.AdaptiveAvgPool2d: _layer(_adaptive_pool, "output_size"),
    nn.Flatten: _layer(moving(torch.flatten), "start_dim", "end_dim"),
    nn.Unflatten: _layer(moving(torch.Tensor.unflatten), "dim", "unflattened_size"),
    nn.ZeroPad2d: _layer(_pad, "padding"),
    nn.ConstantPad2d: lambda layer, x, rounding: _pad(rounding, x, layer.padding, value=layer.value),
    nn.ReflectionPad2d: lambda layer, x, rounding: _pad(rounding, x, layer.padding, "reflect"),
    nn.Identity: lambda layer, x, rounding: x,
    nn.Dropout: lambda layer, x, rounding: x,
    nn.Dropout2d: lambda layer, x, rounding: x,
}
"""Modules by exact type: a subclass may compute something else."""

RANDOM: tuple[type[nn.Module], ...] = (nn.Dropout, nn.Dropout2d)
"""Layers that are bounded in eval mode alone."""

FUNCTIONS: Mapping[Any, FunctionRule] = {
    F.linear: affine.linear,
    F.conv2d: affine.convolution,
    F.relu: monotone.relu,
    torch.relu: monotone.relu,
    F.leaky_relu: monotone.leaky_relu,
    torch.sigmoid: monotone.sigmoid,
    F.sigmoid: monotone.sigmoid,
    torch.tanh: monotone.tanh,
    F.tanh: monotone.tanh,
    F.max_pool2d: monotone.max_pool,
    F.avg_pool2d: _average_pool,
    F.adaptive_avg_pool2d: _adaptive_pool,
    F.pad: _pad,
    torch.flatten: moving(torch.flatten),
    torch.reshape: moving(torch.reshape),
    torch.mean: _mean,
    torch.cat: _concatenated,
    operator.getitem: moving(operator.getitem),
    **dict.fromkeys((operator.add, operator.iadd, torch.add), affine.add),
    **dict.fromkeys((operator.sub, operator.isub, torch.sub), affine.subtract),
    **dict.fromkeys((operator.mul, operator.imul, torch.mul), affine.multiply),
    **dict.fromkeys((operator.truediv, operator.itruediv, torch.div), affine.divide),
    **dict.fromkeys((operator.neg, torch.neg), affine.negate),
    getattr: _shape,
}

METHODS: Mapping[str, FunctionRule] = {
    **{name: moving(getattr(torch.Tensor, name)) for name in ("view", "reshape", "flatten", "contiguous", "squeeze")},
    **{name: moving(getattr(torch.Tensor, name)) for name in ("unsqueeze", "permute", "transpose", "expand")},
    **dict.fromkeys(("relu", "relu_"), monotone.relu),
    "sigmoid": monotone.sigmoid,
    "tanh": monotone.tanh,
    "mean": _mean,
    **dict.fromkeys(("add", "add_"), affine.add),
    **dict.fromkeys(("sub", "sub_"), affine.subtract),
    **dict.fromkeys(("mul", "mul_"), affine.multiply),
    **dict.fromkeys(("div", "div_"), affine.divide),
    "size": lambda rounding, x, *arguments: x.centre.size(*arguments),
    "dim": lambda rounding, x: x.centre.dim(),
}

SEVERAL: frozenset[FunctionRule] = frozenset(
    (affine.add, affine.subtract, affine.multiply, affine.divide, _concatenated)
)
"""The rules that take boxes and constants in any place; all others take one box, first."""
