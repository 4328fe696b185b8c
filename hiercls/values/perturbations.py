"""Balls, domains and steps: where a perturbed input may lie and how it gets there.

Throughout: clean and moved inputs are (N, ...), budgets (N,) in the units of the view, and clean inputs lie
in the domain. Moving every entry of a point towards the clean one shortens its distance in every l_p norm,
so a point of the ball stays in it when it is clipped to the domain or moved to a grid.
"""

import math
from collections.abc import Sequence

import torch

from hiercls.words.norms import L1, LINF, Norm
from hiercls.words.threats import Domain

_GRID_SLACK = 1e-3
"""A thousandth of a grid step: a float32 point this near to a grid point is that grid point."""


def distance(moved: torch.Tensor, clean: torch.Tensor, norm: Norm) -> torch.Tensor:
    """The l_p distance of each row, (N,) float64."""
    return lengths(moved.double() - clean.double(), norm)


def lengths(offset: torch.Tensor, norm: Norm) -> torch.Tensor:
    """The l_p length of each row, (N,); scaled by its largest entry first, so that no power of it underflows."""
    flat = offset.flatten(1)
    if norm in (LINF, L1):
        return torch.linalg.vector_norm(flat, ord=norm.p, dim=1)
    largest = flat.abs().amax(dim=1)
    scale = torch.where((largest > 0) & largest.isfinite(), largest, 1)
    return torch.linalg.vector_norm(flat / scale[:, None], ord=norm.p, dim=1) * scale


def project(moved: torch.Tensor, clean: torch.Tensor, budget: torch.Tensor, norm: Norm, domain: Domain) -> torch.Tensor:
    """A point near `moved` that lies in the ball and in the domain, up to float rounding.

    The ball comes first: the Euclidean projection for linf, l2 and l1, scaling towards the clean point for
    any other p. Then the domain: clipped to the box, and on a grid each entry to the nearest grid point on the
    clean side. Rows whose points are not finite return to the clean point.
    """
    offset = moved - clean
    offset = torch.where(_rows(offset.flatten(1).isfinite().all(dim=1), offset), offset, 0.0)
    return _into_domain(clean + _into_ball(offset, budget.to(offset), norm), clean, domain)


def within(moved: torch.Tensor, clean: torch.Tensor, budget: torch.Tensor, norm: Norm, domain: Domain) -> torch.Tensor:
    """`moved`, drawn towards the clean point until it lies in the domain and its float64 distance is within budget.

    What an attack may claim: nothing here is true only up to rounding. The result is float32. Rows that cannot
    be brought inside (a budget below the spacing of floats) are the clean point itself.
    """
    budget = budget.double()
    clean = clean.float()
    found = clean.clone()
    open_rows = torch.ones_like(budget, dtype=torch.bool)
    for share in (1.0, *(1 - 2.0**-k for k in range(24, 0, -1))):
        candidate = project(moved.double(), clean.double(), budget * share, norm, domain).float()
        candidate = inside_box(candidate, domain)
        if norm == LINF:
            candidate = _entries_within(candidate, clean, budget, domain)
        inside = open_rows & (distance(candidate, clean, norm) <= budget)
        found = torch.where(_rows(inside, found), candidate, found)
        open_rows &= ~inside
        if not bool(open_rows.any()):
            break
    return found


def random_in_ball(
    clean: torch.Tensor, budget: torch.Tensor, norm: Norm, generator: torch.Generator | Sequence[torch.Generator]
) -> torch.Tensor:
    """A random point of each row's ball: uniform for linf, l2 and l1.

    For l1 and l2 after Barthe et al. 2005 (normalised Laplace or Gaussian vectors); for any other finite p a
    Gaussian direction at a radius with the law of the uniform ball.

    Args:
        generator: a CPU generator for all rows, or one a row: then a row does not depend on its neighbours.
    """
    if not isinstance(generator, torch.Generator):
        rows = [random_in_ball(clean[k : k + 1], budget[k : k + 1], norm, own) for k, own in enumerate(generator)]
        return torch.cat([clean[:0], *rows])
    shape = clean.shape
    if norm == LINF:
        offset = torch.rand(shape, generator=generator) * 2 - 1
    else:
        direction = _signed_exponential(shape, generator) if norm == L1 else torch.randn(shape, generator=generator)
        radius = torch.rand(shape[0], generator=generator) ** (1 / max(1, shape[1:].numel()))
        offset = direction * _rows(radius / lengths(direction, norm).clamp_min(1e-30), direction)
    return clean + offset.to(clean) * _rows(budget.to(clean), clean)


def steepest(gradient: torch.Tensor, norm: Norm) -> torch.Tensor:
    """The step of l_p length 1 that climbs fastest: the equality case of Hoelder's inequality.

    Signs for linf, the normalised gradient for l2, the largest entry alone for l1, and
    sign(g) |g|^(q-1) / ||g||_q^(q-1) with 1/p + 1/q = 1 for any other p. A zero gradient gives a zero step.
    """
    if norm == LINF:
        return gradient.sign()
    if norm == L1:
        flat = gradient.flatten(1)
        place = flat.abs().argmax(dim=1, keepdim=True)
        return torch.zeros_like(flat).scatter(1, place, flat.gather(1, place).sign()).view_as(gradient)
    # Scaled first, so that tiny gradients do not underflow under the powers.
    scaled = gradient / _rows(gradient.flatten(1).abs().amax(dim=1), gradient).clamp_min(1e-30)
    raised = scaled.sign() * scaled.abs() ** (norm.dual.p - 1)
    return raised / _rows(lengths(raised, norm), raised).clamp_min(1e-30)


def diameter(domain: Domain, norm: Norm, entries: int) -> float:
    """The largest distance between two points of a domain with this many entries; infinite where unbounded."""
    if not domain.bounded:
        return math.inf
    return (domain.upper - domain.lower) * (1.0 if math.isinf(norm.p) else entries ** (1 / norm.p))


def _rows(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """One value a row, shaped to meet (N, ...)."""
    return values.view(-1, *[1] * (like.dim() - 1))


def _into_ball(offset: torch.Tensor, budget: torch.Tensor, norm: Norm) -> torch.Tensor:
    wide = _rows(budget, offset)
    if norm == LINF:
        return offset.clamp(-wide, wide)
    if norm == L1:
        return _into_l1(offset, budget)
    length = _rows(lengths(offset, norm), offset)
    return torch.where(length > wide, offset * (wide / length.clamp_min(1e-30)), offset)


def _into_l1(offset: torch.Tensor, budget: torch.Tensor) -> torch.Tensor:
    """The Euclidean projection onto the l1 ball: soft thresholding (Duchi et al. 2008, figure 1)."""
    size = offset.flatten(1).abs()
    ordered = size.sort(dim=1, descending=True).values
    excess = ordered.cumsum(dim=1) - budget[:, None]
    counts = torch.arange(1, size.shape[1] + 1, device=size.device)
    kept = (ordered * counts > excess).sum(dim=1, keepdim=True).clamp_min(1)
    threshold = (excess.gather(1, kept - 1) / kept).clamp_min(0)
    shrunk = (size - threshold).clamp_min(0) * offset.flatten(1).sign()
    outside = (size.sum(dim=1) > budget)[:, None]
    return torch.where(outside, shrunk, offset.flatten(1)).view_as(offset)


def _into_domain(moved: torch.Tensor, clean: torch.Tensor, domain: Domain) -> torch.Tensor:
    if not domain.bounded:
        return moved
    if domain.kind == "grid":
        scale = domain.levels / (domain.upper - domain.lower)
        steps = (moved.double() - clean.double()) * scale
        whole = (steps + _GRID_SLACK * steps.sign()).trunc()
        place = ((clean.double() - domain.lower) * scale).round() + whole
        on_grid = domain.lower + place / scale
        moved = torch.where(whole == 0, clean.double(), on_grid).to(moved)
    return moved.clamp(domain.lower, domain.upper)


def inside_box(moved: torch.Tensor, domain: Domain) -> torch.Tensor:
    """Clip to the float32 numbers of the box, whose ends need not be float32 numbers themselves."""
    if not domain.bounded:
        return moved
    return moved.clamp(_float32(domain.lower, torch.inf), _float32(domain.upper, -torch.inf))


def _entries_within(moved: torch.Tensor, clean: torch.Tensor, budget: torch.Tensor, domain: Domain) -> torch.Tensor:
    """Entries that rounding put outside their linf budget, one float or one grid step nearer to the clean ones."""
    if domain.kind == "grid":
        half = (domain.upper - domain.lower) / domain.levels / 2
        nearer = project(moved.double(), clean.double(), (budget - half).clamp_min(0), LINF, domain).float()
    else:
        nearer = torch.nextafter(moved, clean)
    outside = (moved.double() - clean.double()).abs() > _rows(budget, moved)
    return torch.where(outside, nearer, moved)


def _float32(end: float, towards: float) -> float:
    """The float32 nearest to a box end on its inner side."""
    nearest = torch.tensor(end, dtype=torch.float32)
    outside = float(nearest) < end if towards > 0 else float(nearest) > end
    return float(torch.nextafter(nearest, torch.tensor(towards))) if outside else float(nearest)


def _signed_exponential(shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    size = torch.empty(shape).exponential_(generator=generator)
    return torch.where(torch.rand(shape, generator=generator) < 0.5, -size, size)
