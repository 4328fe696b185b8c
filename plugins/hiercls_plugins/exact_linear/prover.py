"""Closed-form targeted radii of an affine map."""

from collections.abc import Sequence

import torch

from hiercls.contracts.context import Context
from hiercls.contracts.frozen import frozen
from hiercls.contracts.pointwise import Pointwise
from hiercls.values.certificates import closed
from hiercls.values.heads import Head
from hiercls.values.perturbations import lengths
from hiercls.words.norms import Norm
from hiercls.words.threats import Domain
from hiercls_plugins.bounds.agreement import random_points, require_agreement, require_agreement_where_claimed
from hiercls_plugins.bounds.precision import FullPrecision
from hiercls_plugins.bounds.rounding import TINY
from hiercls_plugins.bounds.traced import in_float32, require_float32
from hiercls_plugins.bounds.trial import require_plain_trace
from hiercls_plugins.exact_linear.folding import AffineMap, AffineNetwork


class LinearProver(Pointwise):
    """Decides by the traced operations in float32; its radii hold for the real-valued and for the float32 network."""

    def __init__(
        self, network: torch.nn.Module, heads: Sequence[Head], view: str, context: Context, norm: Norm
    ) -> None:
        super().__init__(FullPrecision(network), heads, view, context.threat.domain, context)
        require_float32(network)
        self.norm = norm
        self.exact = AffineNetwork(frozen(network, context.device).double())
        self.given, self.network = self.network, FullPrecision(in_float32(self.exact.network, self.exact.graph))
        self._folded: dict[tuple[int, ...], AffineMap] = {}

    @torch.no_grad()
    def radii(self, network: torch.nn.Module, head: Head, x: torch.Tensor) -> torch.Tensor:
        shape = tuple(x.shape[1:])
        if shape not in self._folded:
            self._folded[shape] = self._tried(x)
        affine, flat = self._folded[shape], x.double().flatten(1)
        found = targeted(affine, head, flat, self.norm, self.domain)
        require_agreement_where_claimed(self.given(x), affine.outputs(flat), (found > 0).any(dim=1))
        return found

    def _tried(self, x: torch.Tensor) -> AffineMap:
        """The folded map for inputs of this shape, unless it is not what the given network computes."""
        given, points = self.given, random_points(x, self.domain)
        assert isinstance(given, FullPrecision)
        require_plain_trace(self.exact.network, self.exact.graph, x.shape[1:], given.network)
        affine = self.exact.fold(tuple(x.shape[1:]))
        require_agreement(given, affine.outputs(points.double().flatten(1)), points)
        return affine


def targeted(affine: AffineMap, head: Head, x: torch.Tensor, norm: Norm, domain: Domain) -> torch.Tensor:
    """For each child the smallest over its outputs j of the largest over the allowed outputs i of the pair's radius.

    Inside it every output of the child is beaten, so that the largest of them is beaten from outside. Exact for
    two outputs but for the rounding it allows for; a lower bound for more.

    Args:
        x: (N, entries) float64.

    Returns:
        (N, children) float64, closed radii; infinite where i beats j on the whole domain.
    """
    best = x.new_zeros(len(x), len(head.allowed))
    for output in head.allowed:
        best = torch.maximum(best, closed(pair_radii(affine, output, head.allowed, x, norm, domain)))
    child = torch.tensor(head.child_of, device=x.device)
    return torch.stack([best[:, child == c].amin(dim=1) for c in range(len(head.children))], dim=1)


def pair_radii(
    affine: AffineMap, output: int, others: Sequence[int], x: torch.Tensor, norm: Norm, domain: Domain
) -> torch.Tensor:
    """Within which radius output i beats each other output j, (N, others); 0 where it does not, or ties.

    The margin at x + d is at least y_i - y_j - error(x) - (||w_i - w_j||_q + error's slope) ||d||_p. No radius goes
    to where the network may overflow: |d| <= ||d||_p entry by entry, and what overflows abstains.
    """
    rows = list(others)
    slope = affine.weight[output] - affine.weight[rows]
    size = affine.size[output] + affine.size[rows]
    offset = affine.offset[output] - affine.offset[rows]
    size_offset = affine.size_offset[output] + affine.size_offset[rows]
    magnitude = x.abs() @ size.T + size_offset
    margin = x @ slope.T + offset - affine.growth * magnitude - 2 * TINY
    steepness = lengths(slope, norm.dual) + affine.growth * lengths(size, norm.dual)
    room = affine.reach - x.abs().amax(dim=1, keepdim=True)
    near = torch.minimum(margin / steepness, room)
    everywhere = _everywhere(slope, offset, size, size_offset, affine, domain)
    return torch.where((margin > 0) & (room > 0), torch.where(everywhere, torch.inf, near), 0.0)


def _everywhere(
    slope: torch.Tensor,
    offset: torch.Tensor,
    size: torch.Tensor,
    size_offset: torch.Tensor,
    affine: AffineMap,
    domain: Domain,
) -> torch.Tensor:
    """Whether the margin of each pair is positive on the whole domain, (others,) bool."""
    farthest = max(abs(domain.lower), abs(domain.upper))
    if not domain.bounded or farthest > affine.reach:
        return torch.zeros_like(offset, dtype=torch.bool)
    middle, half = (domain.lower + domain.upper) / 2, (domain.upper - domain.lower) / 2
    error = affine.growth * (farthest * size.sum(dim=1) + size_offset)
    return middle * slope.sum(dim=1) - half * slope.abs().sum(dim=1) + offset - error - 2 * TINY > 0
