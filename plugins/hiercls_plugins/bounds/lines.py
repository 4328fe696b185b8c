"""Rows pulled back through a ReLU while training: the adaptive lines of `backward.through_relu` in few passes."""

from functools import reduce
from typing import Any

import torch

from hiercls_plugins.bounds.boxes import Box
from hiercls_plugins.bounds.layout import channels_last

SMALLEST = torch.finfo(torch.float32).tiny


def through_relu_in_training(rows: torch.Tensor, before: Box) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows below max(v, 0) over its box, with the slope below that is closer, and what joins their constant.

    Args:
        rows: (N, R, ...).
        before: (N, ...).

    Returns:
        (N, R, ...) and (N, R).
    """
    if before.centre.dim() == 4 and before.centre.is_contiguous(memory_format=torch.channels_last):
        rows = channels_last(rows.flatten(0, 1)).unflatten(0, rows.shape[:2])
    given = rows, before.centre[:, None], before.radius[:, None]
    dtype = reduce(torch.promote_types, (each.dtype for each in given))
    return _Lines.apply(*(each.to(dtype) for each in given))


class _Lines(torch.autograd.Function):
    """With U = max(c + r, 0) and D = max(r - c, 0), the chord has the slope U / (U + D) and the height D at 0.

    A positive coefficient takes the slope 1 where U > D and 0 elsewhere, which does not change with the box; a negative
    one takes the chord: h = min(a, 0) U / (U + D), and h D joins the constant. The gradient needs no more than these.
    """

    @staticmethod
    def forward(
        ctx: Any, rows: torch.Tensor, centre: torch.Tensor, radius: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        up, down = (centre + radius).relu_(), (radius - centre).relu_()
        width = (up + down).clamp_min_(SMALLEST)
        chord, steeper = up / width, up - down
        on_chord = rows.clamp_max(0).mul_(chord)
        found = _kept_(rows.relu(), steeper).add_(on_chord)
        ctx.save_for_backward(rows, up, down, width, chord, steeper, on_chord)
        return found, _sums(on_chord * down)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, by_rows: torch.Tensor, by_sums: torch.Tensor) -> tuple[torch.Tensor, ...]:
        rows, up, down, width, chord, steeper, on_chord = ctx.saved_tensors
        by_sums = by_sums.reshape(*by_sums.shape, *(1,) * (rows.dim() - 2))
        by_chord = torch.addcmul(by_rows, by_sums, down)  # of min(a, 0) times the chord
        given = _kept_(_kept_(by_rows.clone(), steeper), rows)
        given.add_(_kept_(by_chord * chord, -rows))
        share = _over_rows(by_chord.mul_(rows.clamp_max(0))).div_(width).div_(width)
        by_up = _kept_(share * down, up)
        by_down = _kept_(_over_rows(on_chord * by_sums).addcmul_(share, up, value=-1), down)
        return given, by_up - by_down, by_up.add_(by_down)


def _kept_(values: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """The values where another tensor is positive, and 0 elsewhere, in place."""
    return torch.ops.aten.threshold_backward.grad_input(values, where.expand_as(values), 0, grad_input=values)


def _over_rows(values: torch.Tensor) -> torch.Tensor:
    """Summed over the rows, (N, 1, ...); a single row stays where it lies."""
    return values if values.shape[1] == 1 else values.sum(dim=1, keepdim=True)


def _sums(values: torch.Tensor) -> torch.Tensor:
    return values.sum(dim=tuple(range(2, values.dim())))
