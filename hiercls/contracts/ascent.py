"""The one projected ascent: training attacks and audits climb here."""

from collections.abc import Callable, Sequence

import torch

from hiercls.values.perturbations import diameter, project, random_in_ball, steepest, within
from hiercls.words.norms import Norm
from hiercls.words.threats import Domain

Value = Callable[[torch.Tensor, int], torch.Tensor]
"""What is climbed: (inputs, step) to one value a row, (N,), differentiable in the inputs."""


def ascend(
    value: Value,
    clean: torch.Tensor,
    budget: torch.Tensor,
    norm: Norm,
    domain: Domain,
    *,
    steps: int,
    step: float,
    restarts: int,
    generator: torch.Generator | Sequence[torch.Generator],
) -> torch.Tensor:
    """The best point that projected steepest ascent finds in each row's ball (Madry et al. 2018).

    Starts are random points of the ball; of several restarts the first starts at the clean input. The step
    is halved after half and after three quarters of the steps. Entries that press against the box
    do not take part in a step, so that l1 ascent goes on to the next entry. On a grid the ascent moves in the
    box around it and is measured at grid points. Values that are NaN never win.

    Args:
        value: what to maximise; its second argument counts the evaluations of one restart from 0, and names
            the draws of a random value.
        clean: (N, ...) inputs in the domain.
        budget: (N,) the radius of each row's ball; rows with budget 0 stay clean.
        step: the length of a step in the norm, as a share of the budget.
        generator: CPU randomness of the starts, for all rows or one a row.

    Returns:
        (N, ...) float32, in the domain and within the budget as measured in float64.

    Raises:
        ValueError: an infinite budget in an unbounded domain.
    """
    allowed = budget.double().to(clean.device).clamp_max(diameter(domain, norm, clean[0:1].numel()))
    if not bool(allowed.isfinite().all()):
        raise ValueError("ascent: a ball of infinite radius needs a bounded domain")
    best, highest = clean, torch.full((len(clean),), -torch.inf, device=clean.device)
    for restart in range(restarts):
        from_clean = restart == 0 and restarts > 1
        start = clean if from_clean else random_in_ball(clean, allowed, norm, generator)
        best, highest = _climb(value, start, clean, allowed, norm, domain, steps, step, best, highest)
    return within(best, clean, allowed, norm, domain)


def _climb(
    value: Value,
    start: torch.Tensor,
    clean: torch.Tensor,
    budget: torch.Tensor,
    norm: Norm,
    domain: Domain,
    steps: int,
    step: float,
    best: torch.Tensor,
    highest: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """One restart: the better of what was known and what it visits."""
    box = Domain("box", domain.lower, domain.upper) if domain.kind == "grid" else domain
    x = project(start, clean, budget, norm, box)
    for taken in range(steps):
        visited = project(x, clean, budget, norm, domain)
        heights, gradient = _slope(value, visited, taken)
        best, highest = _better(visited, heights, best, highest)
        length = (step * _share(taken, steps) * budget).to(x).view(-1, *[1] * (x.dim() - 1))
        x = project(x + length * steepest(_free(gradient, x, domain), norm), clean, budget, norm, box)
    visited = project(x, clean, budget, norm, domain)
    with torch.no_grad():
        heights = value(visited, steps)
    return _better(visited, heights, best, highest)


def _slope(value: Value, x: torch.Tensor, taken: int) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.enable_grad():
        inputs = x.detach().requires_grad_(True)
        heights = value(inputs, taken)
        (gradient,) = torch.autograd.grad(heights.sum(), inputs)
    return heights.detach(), torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)


def _better(
    x: torch.Tensor, heights: torch.Tensor, best: torch.Tensor, highest: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    higher = heights.to(highest) > highest
    rows = higher.view(-1, *[1] * (x.dim() - 1))
    return torch.where(rows, x, best), torch.where(higher, heights.to(highest), highest)


def _share(taken: int, steps: int) -> float:
    return 1.0 if 2 * taken < steps else 0.5 if 4 * taken < 3 * steps else 0.25


def _free(gradient: torch.Tensor, x: torch.Tensor, domain: Domain) -> torch.Tensor:
    """The gradient without the entries that would leave the box."""
    if not domain.bounded:
        return gradient
    pressed = ((x <= domain.lower) & (gradient < 0)) | ((x >= domain.upper) & (gradient > 0))
    return gradient.masked_fill(pressed, 0.0)
