"""Whether the deployed network is the function that was bounded: tried on random points and on every claimed input."""

from collections.abc import Callable, Iterator

import torch

from hiercls.words.errors import HierclsError
from hiercls.words.threats import Domain
from hiercls_plugins.bounds.boxes import Box


def require_agreement(network: Callable[[torch.Tensor], torch.Tensor], box: Box, points: torch.Tensor) -> None:
    """Refuse a network that does what its trace does not show: each row's outputs must lie within its bounds.

    The pass is repeated, and made again with some rows replaced, so that each row stays while each other one goes.

    Args:
        network: as deployed, in float32.
        box: bounds of the outputs at the points, (N, K); what is not finite claims nothing.
        points: (N, ...) of the domain, N even.

    Raises:
        HierclsError: outputs lie outside, change from pass to pass or depend on other rows.
    """
    _require_inside(network(points), box, "lie outside their bounds: it computes what a trace does not show")
    _require_inside(network(points), box, "change when a pass is repeated")
    for kept in _sides(len(points)):
        mixed = _replaced(points, kept)
        found = Box(box.centre[kept], box.radius[kept])
        _require_inside(network(mixed)[kept], found, "depend on other rows of the batch")


def require_agreement_where_claimed(logits: torch.Tensor, box: Box, claimed: torch.Tensor) -> None:
    """Refuse a claim about an input whose own outputs are not where the bounds have them.

    Args:
        logits: of the deployed network, (N, K).
        box: bounds of them at the inputs alone, (N, K).
        claimed: the rows with a claim, (N,) bool.

    Raises:
        HierclsError: the outputs of one of these rows lie outside.
    """
    found = Box(box.centre[claimed], box.radius[claimed])
    _require_inside(logits[claimed], found, "lie outside their bounds at an input: a trace does not show all of it")


def require_rows_apart(bounds: Callable[[torch.Tensor], Box], points: torch.Tensor) -> None:
    """Refuse bounds that let a row see its neighbours: they may not move when other rows may be anywhere.

    Args:
        bounds: of the outputs, from one budget a row, (N,) float64, around `points`.

    Raises:
        HierclsError: they do.
    """
    zeros = torch.zeros(len(points), dtype=torch.float64, device=points.device)
    alone, anywhere = bounds(zeros), 1 + 2 * points.double().abs().max()
    finite = alone.centre.isfinite() & alone.radius.isfinite()
    for kept in _sides(len(points)):
        beside = bounds(torch.where(kept.to(zeros.device), zeros, anywhere))
        moved = (beside.centre - alone.centre).abs() + (beside.radius - alone.radius).abs()
        if bool((finite & ~(moved <= alone.radius / 2))[kept].any()):
            raise HierclsError("bounds: the outputs depend on other rows of the batch; nothing can be certified")


def _sides(count: int) -> Iterator[torch.Tensor]:
    """Choices of rows, (N,) bool: for any two rows one choice has the first and not the second.

    The numbers of two rows differ in some binary digit; a choice is a digit and a value of it.
    """
    places = torch.arange(count)
    for digit in range((count - 1).bit_length()):
        for value in (0, 1):
            yield (places >> digit) % 2 == value


def _replaced(points: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """The points with all rows but some replaced by others."""
    return torch.where(kept.view(-1, *(1,) * (points.dim() - 1)).to(points.device), points, points.roll(1, 0))


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
