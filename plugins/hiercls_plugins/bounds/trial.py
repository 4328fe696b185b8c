"""What a trace does not show, tried once: that the batch stays in front, and that constants are what was deployed."""

from copy import deepcopy
from typing import Any

import torch
from torch import fx, nn

from hiercls.contracts.pointwise import TILE
from hiercls.words.errors import HierclsError
from hiercls_plugins.bounds.operations import operation
from hiercls_plugins.bounds.rounding import FLOAT32, TINY
from hiercls_plugins.bounds.tracing import Environment, evaluate, moved_by_input, plain, trace

COUNTS = (3, 5, TILE)
"""Numbers of rows that a pass is tried with: an axis of one of these lengths by chance does not have all."""

ROUNDINGS = 2
"""Of a constant: a product with a number of Python's has as many, and every operation is charged for more."""


@torch.no_grad()
def require_plain_trace(network: nn.Module, graph: fx.Graph, shape: torch.Size, deployed: nn.Module) -> None:
    """Refuse what interval and linear bounds would silently get wrong.

    Every tensor that depends on the input must have one row an input along its first axis, whatever their number:
    operations keep rows apart only there. A tensor or a number that does not depend on the input is computed in
    float64 by the bounds and in float32 by the deployed network, and must be the same in both to ROUNDINGS, also for
    the rows of a whole pass. So must be the operations themselves: a network may read its weights while it is traced.

    Args:
        network: in float64 and in eval mode.
        graph: its operations.
        shape: of one input.
        deployed: the network in the precision that it is deployed in, in eval mode.

    Raises:
        HierclsError: names the operation.
    """
    own = deepcopy(deployed)  # a pass may move what a network keeps
    if str(trace(own)) != str(graph):
        raise HierclsError("bounds: traced again, as it is deployed, the network has other operations or numbers")
    moved = frozenset(moved_by_input(graph))
    for count in COUNTS:
        exact = _values(network, graph, torch.zeros(count, *shape, dtype=torch.float64))
        found = _values(own, graph, torch.zeros(count, *shape))
        for node in graph.nodes:
            if node in moved and _misplaced(exact[node], count):
                raise HierclsError(
                    f"bounds: {operation(network, node)} moves the batch from the first axis; it cannot be bounded"
                )
            if node.op.startswith("call") and node not in moved and _strays(exact[node], found[node]):
                raise HierclsError(
                    f"bounds: {operation(network, node)} makes a constant that float32 rounds more than twice; store "
                    "it in a buffer"
                )


def _values(network: nn.Module, graph: fx.Graph, x: torch.Tensor) -> Environment:
    device = next((tensor.device for tensor in network.state_dict().values()), x.device)

    def call(node: fx.Node, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        try:
            return plain(network, node, arguments, options)
        except (RuntimeError, IndexError) as error:  # torch tells shapes and places that do not fit so
            raise HierclsError(
                f"bounds: {operation(network, node)} works for one batch size alone: its results depend on other rows "
                "of the batch, or on their number"
            ) from error

    return evaluate(network, graph, x.to(device), call)


def _misplaced(value: Any, count: int) -> bool:
    return isinstance(value, torch.Tensor) and value.shape[:1] != (count,)


def _strays(exact: Any, deployed: Any) -> bool:
    if isinstance(exact, tuple | list):
        return len(exact) != len(deployed) or any(map(_strays, exact, deployed))
    if isinstance(exact, bool | int | float):
        exact, deployed = torch.as_tensor(exact), torch.as_tensor(deployed)
    if not isinstance(exact, torch.Tensor):
        return False  # a type of numbers, or a place for them
    if not exact.is_floating_point():
        return not torch.equal(exact, deployed)
    allowed = ROUNDINGS * (1 + FLOAT32.unit) * FLOAT32.unit * exact.abs() + TINY
    return not bool(((deployed.double() - exact).abs() <= allowed).all())
