"""Boxes: a centre and a radius for every entry."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from hiercls.values.views import require_domain
from hiercls.words.threats import Domain


@dataclass(frozen=True)
class Box:
    """The tensors v with |v - centre| <= radius, entry by entry. Both are (N, ...)."""

    centre: torch.Tensor
    radius: torch.Tensor

    @property
    def lower(self) -> torch.Tensor:
        return self.centre - self.radius

    @property
    def upper(self) -> torch.Tensor:
        return self.centre + self.radius

    @property
    def magnitude(self) -> torch.Tensor:
        """The largest absolute value of a member."""
        return self.centre.abs() + self.radius

    def moved(self, move: Callable[[torch.Tensor], torch.Tensor]) -> "Box":
        """The box after an operation that only moves, repeats or drops entries."""
        return Box(move(self.centre), move(self.radius))


def between(lower: torch.Tensor, upper: torch.Tensor) -> Box:
    """The box between two corners, in the arithmetic of the corners."""
    centre = torch.lerp(lower, upper, 0.5)
    return Box(centre, upper - centre)


def around(x: torch.Tensor, budget: torch.Tensor | float, domain: Domain) -> Box:
    """The l_inf balls around training inputs, clipped to the domain, in the arithmetic of `x`.

    Args:
        x: (N, ...) inside the domain.
        budget: one for all inputs, or (N, 1, ..., 1).
    """
    lower, upper = x - budget, x + budget
    if domain.bounded:
        lower, upper = lower.clamp_min_(domain.lower), upper.clamp_max_(domain.upper)
    return between(lower, upper)


def enclosing(x: torch.Tensor, budget: torch.Tensor, domain: Domain) -> Box:
    """Float64 boxes that hold every point of the domain within `budget` of `x`, rounded outward.

    Args:
        x: (N, ...) inside the domain.
        budget: (N,) float64; float32 cannot hold most budgets, float32(0.01) is smaller than 0.01.

    Raises:
        OutsideDomain: an input is not finite or outside the domain.
    """
    if budget.dtype != torch.float64:
        raise ValueError("a certified budget is float64")
    require_domain(x, domain, "bounds")
    exact, reach = x.double(), budget.reshape(-1, *(1,) * (x.dim() - 1))
    lower, upper = _down(exact - reach), _up(exact + reach)
    if domain.bounded:
        lower, upper = lower.clamp_min(domain.lower), upper.clamp_max(domain.upper)
    centre = torch.lerp(lower, upper, 0.5)
    return Box(centre, _up(torch.maximum(_up(upper - centre), _up(centre - lower))))


def _up(values: torch.Tensor) -> torch.Tensor:
    return torch.nextafter(values, torch.full_like(values, torch.inf))


def _down(values: torch.Tensor) -> torch.Tensor:
    return torch.nextafter(values, torch.full_like(values, -torch.inf))
