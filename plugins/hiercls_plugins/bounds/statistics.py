"""Batch norm as an affine map, with running statistics or with those of one concrete pass."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn

from hiercls.words.errors import HierclsError


class Normalising(NamedTuple):
    """The affine map (v - mean) scale + shift of a batch norm; each (features,)."""

    scale: torch.Tensor
    mean: torch.Tensor
    shift: torch.Tensor


@dataclass(frozen=True)
class Statistics:
    """What one concrete pass leaves to the bounds of its batch; both have gradients.

    Attributes:
        norms: batch norms in train mode as affine maps.
        kernels: the weights of dense layers that took images as they lay, as kernels that cover them.
    """

    norms: Mapping[nn.Module, Normalising] = field(default_factory=dict)
    kernels: Mapping[nn.Module, torch.Tensor] = field(default_factory=dict)


def running(layer: nn.Module) -> Normalising:
    """A batch norm in eval mode.

    Raises:
        HierclsError: it keeps no running statistics.
    """
    mean, variance = layer.running_mean, layer.running_var
    if not isinstance(mean, torch.Tensor) or not isinstance(variance, torch.Tensor):
        raise HierclsError("bounds: a batch norm without running statistics depends on its batch and cannot be bounded")
    return _affine(layer, mean, (variance + layer.eps).sqrt().reciprocal())  # type: ignore[operator]


def concrete(layer: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, Normalising]:
    """One training pass of a batch norm: its output, and itself as an affine map with the statistics of `x`.

    Running statistics move as in the layer's own pass. Gradients flow through the statistics too.
    """
    y, mean, inverse = _Concrete.apply(x, layer, layer.weight, layer.bias)
    return y, _affine(layer, mean, inverse)


def _affine(layer: nn.Module, mean: torch.Tensor, inverse: torch.Tensor) -> Normalising:
    if not isinstance(layer.weight, torch.Tensor):
        return Normalising(inverse, mean, torch.zeros_like(mean))
    return Normalising(inverse * layer.weight, mean, layer.bias)  # type: ignore[arg-type]


def _momentum(layer: Any) -> float:
    """The weight of this batch in the running statistics, counting the batch."""
    if layer.num_batches_tracked is None:
        return 0.0
    layer.num_batches_tracked.add_(1)
    return 1.0 / float(layer.num_batches_tracked) if layer.momentum is None else layer.momentum


class _Concrete(torch.autograd.Function):
    """torch's own kernel, whose saved mean and inverse deviation here have gradients as well."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, layer: Any, weight: Any, bias: Any) -> tuple[torch.Tensor, ...]:
        y, mean, inverse = torch.native_batch_norm(
            x, weight, bias, layer.running_mean, layer.running_var, True, _momentum(layer), layer.eps
        )
        ctx.save_for_backward(x, weight, mean, inverse)
        ctx.eps = layer.eps
        return y, mean, inverse

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, by_y: Any, by_mean: Any, by_inverse: Any) -> tuple[torch.Tensor | None, ...]:
        x, weight, mean, inverse = ctx.saved_tensors
        needed = [True, weight is not None, weight is not None]
        by_x, by_weight, by_bias = torch.ops.aten.native_batch_norm_backward(
            by_y, x, weight, None, None, mean, inverse, True, ctx.eps, needed
        )
        # d mean / dx = 1/n and d inverse / dx = -inverse^3 (x - mean) / n: one more affine term in x.
        entries = x.numel() // x.shape[1]
        slope = -by_inverse * inverse**3 / entries
        shape = (1, -1) + (1,) * (x.dim() - 2)
        by_x = by_x.addcmul_(x, slope.reshape(shape)).add_((by_mean / entries - slope * mean).reshape(shape))
        return by_x, None, by_weight, by_bias
