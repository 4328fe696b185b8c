"""Whether the deployed network is the function that was bounded, tried once on random points."""

from collections.abc import Callable

import torch

from hiercls.words.errors import HierclsError
from hiercls.words.threats import Domain
from hiercls_plugins.bounds.boxes import Box


def require_agreement(network: Callable[[torch.Tensor], torch.Tensor], box: Box, points: torch.Tensor) -> None:
    """Refuse a network that does what its trace does not show: each row's outputs must lie within its bounds.

    The pass is repeated, and made once more with every second row replaced by its neighbour.

    Args:
        network: as deployed, in float32.
        box: bounds of the outputs at the points, (N, K); what is not finite claims nothing.
        points: (N, ...) of the domain, N even.

    Raises:
        HierclsError: outputs lie outside, change from pass to pass or depend on other rows.
    """
    _require_inside(network(points), box, "lie outside their bounds: it computes what a trace does not show")
    _require_inside(network(points), box, "change when a pass is repeated")
    mixed = points.clone()
    mixed[1::2] = points[::2]
    _require_inside(network(mixed)[::2], Box(box.centre[::2], box.radius[::2]), "depend on other rows of the batch")


def require_rows_apart(bounds: Callable[[torch.Tensor], Box], points: torch.Tensor) -> None:
    """Refuse bounds that let a row see its neighbours: they may not move when every second row may be anywhere.

    Args:
        bounds: of the outputs, from one budget a row, (N,) float64, around `points`.

    Raises:
        HierclsError: they do.
    """
    budgets = torch.zeros(len(points), dtype=torch.float64, device=points.device)
    alone = bounds(budgets)
    budgets[1::2] = 1 + 2 * points.double().abs().max()
    beside = bounds(budgets)
    moved = (beside.centre - alone.centre).abs() + (beside.radius - alone.radius).abs()
    finite = alone.centre.isfinite() & alone.radius.isfinite()
    if bool((finite & ~(moved <= alone.radius / 2))[::2].any()):
        raise HierclsError("bounds: the outputs depend on other rows of the batch; nothing can be certified")


def random_points(x: torch.Tensor, domain: Domain) -> torch.Tensor:
    """Points of the domain in the shape of `x`, the same on every call."""
    generator = torch.Generator().manual_seed(0)
    if not domain.bounded:
        return torch.randn(x.shape, generator=generator).to(x)
    share = torch.rand(x.shape, generator=generator, dtype=torch.float64)
    points = domain.lower + (domain.upper - domain.lower) * share
    return points.clamp(domain.lower, domain.upper).to(x)


def _require_inside(logits: torch.Tensor, box: Box, otherwise: str) -> None:
    if logits.shape != box.centre.shape:
        raise HierclsError(f"bounds: the outputs are of shape {tuple(logits.shape)}, not {tuple(box.centre.shape)}")
    finite = box.centre.isfinite() & box.radius.isfinite()
    inside = (logits.double() - box.centre).abs() <= box.radius
    if bool((finite & ~inside).any()):
        raise HierclsError(f"bounds: the outputs of the deployed network {otherwise}; nothing can be certified")
