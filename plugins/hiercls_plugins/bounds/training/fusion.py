"""Loss fusion: one row pulled back bounds a whole cross-entropy (Xu et al. 2020, section 3.3)."""

import torch
import torch.nn.functional as F

from hiercls_plugins.bounds.bounded import Features
from hiercls_plugins.bounds.crown import Crown

NARROW = 1e-4
"""Margins whose bounds are closer than this have the slope of the tangent: the chord's would be all rounding."""


def fused_loss(crown: Crown, y: torch.Tensor, robust: torch.Tensor, rest: torch.Tensor) -> torch.Tensor:
    """An upper bound of log(exp(rest) + sum over the robust j of exp(-(y_truth - y_j))) over the box, (N,).

    Over the interval bounds [l_j, u_j] of each margin m_j the convex exp(-m_j) lies below its chord
    exp(-l_j) + s_j (m_j - l_j); the sum of the chords is one linear function of the outputs, and its largest value
    comes from pulling back the one row -sum_j s_j (e_truth - e_j).

    Args:
        y: (N,) true outputs.
        robust: (N, K) bool, the outputs whose margins the adversary moves; the truth is none of them.
        rest: (N,) the logarithm of what all other outputs contribute; at least 0, for the truth itself.
    """
    features = crown.features
    lowest, highest = margin_bounds(features, y)
    lowest, highest = lowest.masked_fill(~robust, 0), highest.masked_fill(~robust, 0)
    most = torch.maximum((-lowest).amax(dim=1), rest).detach()[:, None]
    at_lowest = (-lowest - most).exp() * robust
    slopes = -at_lowest * _share(highest - lowest)
    identity = torch.eye(features.weight.shape[0], dtype=slopes.dtype, device=slopes.device)
    row = slopes - slopes.sum(dim=1, keepdim=True) * identity[y]
    least = crown.lowest(row[:, None, :]).squeeze(1)
    chords = (at_lowest - slopes * lowest).sum(dim=1)
    return most.squeeze(1) + ((rest - most.squeeze(1)).exp() + chords - least).log()


def margin_bounds(features: Features, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Interval bounds of y_truth - y_j, each (N, K), 0 at the truth.

    The spread comes from one table of all pairs of outputs, which costs as much as the rows of every input and is
    made once.
    """
    outputs = F.linear(features.box.centre, features.weight, features.bias)
    middle = outputs.gather(1, y[:, None]) - outputs
    count = len(features.weight)
    pairs = (features.weight[:, None, :] - features.weight).abs()
    spread = F.linear(features.box.radius, pairs.flatten(end_dim=1)).view(-1, count, count)
    own = spread.gather(1, y[:, None, None].expand(-1, 1, count)).squeeze(1)
    return middle - own, middle + own


def _share(width: torch.Tensor) -> torch.Tensor:
    """(1 - exp(-w)) / w, 1 at 0."""
    wide = width > NARROW
    safe = torch.where(wide, width, 1)
    return torch.where(wide, -torch.expm1(-safe) / safe, 1 - width / 2)
