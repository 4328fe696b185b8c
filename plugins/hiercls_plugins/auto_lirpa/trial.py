"""Whether the bounds hold for the deployed network, tried on random boxes."""

from collections.abc import Callable

import torch

from hiercls.words.errors import HierclsError
from hiercls.words.threats import Domain
from hiercls_plugins.auto_lirpa.engine import Engine
from hiercls_plugins.bounds.agreement import random_points, require_agreement, require_rows_apart
from hiercls_plugins.bounds.boxes import Box, enclosing

SLACK = 1e-5
"""How far, as a share of the largest output, the deployed float32 network is taken to lie from the real-valued one."""

CORNERS = 16
"""Points that are tried of each random box."""


def require_bounds(
    engine: Engine,
    network: Callable[[torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    rows: int,
    domain: Domain,
    budgets: tuple[float, ...],
) -> None:
    """Refuse, before the first claim on inputs of a shape, a network whose bounds are not its own.

    The engine bounds what its trace shows, by rules that nothing here proves: they are held to the network's
    outputs at random points, and at corners of boxes around them.

    Args:
        x: (N, ...), N even; only its shape, device and dtype matter.
        rows: how many inputs are bounded at once.

    Raises:
        HierclsError: an output lies outside its bounds, changes from pass to pass or depends on other rows.
    """
    points = random_points(x, domain)
    exact = engine.outputs(points)
    slack = SLACK * torch.where(exact.isfinite(), exact.abs(), 0.0).amax()
    require_agreement(network, Box(exact, slack.expand_as(exact)), points)
    some = points[:rows]

    def bounds(budget: torch.Tensor) -> Box:
        found = _bounds(engine, enclosing(some, budget, domain))
        return Box(found.centre, found.radius + slack)

    for budget in (0.0, *budgets):
        every = torch.full((len(some),), budget, dtype=torch.float64, device=some.device)
        _require_held(engine, enclosing(some, every, domain), bounds(every))
    require_rows_apart(bounds, some)


def _require_held(engine: Engine, box: Box, bounds: Box) -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(CORNERS):
        signs = torch.randint(-1, 2, box.centre.shape, generator=generator).to(box.centre)
        outputs = engine.outputs(box.centre + signs * box.radius)
        finite = bounds.centre.isfinite() & bounds.radius.isfinite()
        if bool((finite & ~((outputs - bounds.centre).abs() <= bounds.radius)).any()):
            raise HierclsError(
                f"auto-lirpa: outputs of {type(engine.network).__name__} lie outside the bounds that auto_LiRPA "
                f"gives by {engine.bound}; nothing can be certified"
            )


def _bounds(engine: Engine, box: Box) -> Box:
    """Of every output over a box, (N, K)."""
    outputs = engine.outputs(box.centre).shape[1]
    identity = torch.eye(outputs, dtype=torch.float64, device=box.centre.device)
    rows = torch.cat([identity, -identity]).expand(len(box.centre), 2 * outputs, outputs)
    lower, upper = engine.lowest(box, rows).tensor_split((outputs,), dim=1)
    return Box((lower - upper) / 2, (-upper - lower) / 2)
