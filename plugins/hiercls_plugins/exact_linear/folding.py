"""A network of affine operations as one affine map, with what its float32 evaluation may err."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import torch
from torch import fx, nn

from hiercls.words.errors import HierclsError
from hiercls_plugins.bounds.affine import NORMALISING, application, as_number
from hiercls_plugins.bounds.boxes import Box
from hiercls_plugins.bounds.operations import asks_shape, layer_of, operation
from hiercls_plugins.bounds.rounding import FLOAT32, LARGEST, TINY
from hiercls_plugins.bounds.rules import MATRICES, NORMS, RANDOM, require_divisor
from hiercls_plugins.bounds.statistics import running
from hiercls_plugins.bounds.traced import Traced
from hiercls_plugins.bounds.tracing import Environment, evaluate, moved_by_input, plain, result, trace

SPARE = 64
"""Roundings counted beside those of the layers: all float64 arithmetic on the folded map."""


@dataclass(frozen=True)
class AffineMap:
    """y = weight x + offset over flattened inputs.

    Evaluated in float32 at an input x it errs by at most growth (size |x| + size_offset): the same network with
    every number replaced by its absolute value, so that nothing cancels (Higham 2002, section 3.1). Every number and
    every result there is TINY larger than it is, for what underflows.

    Attributes:
        weight, size: (K, entries) float64.
        offset, size_offset: (K,) float64.
        growth: the relative error of all operations together.
        reach: where every |entry of x| is at most this, no operation and no partial sum overflows.
    """

    weight: torch.Tensor
    offset: torch.Tensor
    size: torch.Tensor
    size_offset: torch.Tensor
    growth: float
    reach: float

    def outputs(self, x: torch.Tensor) -> Box:
        """Bounds of the outputs that float32 gives at x, (N, entries) float64."""
        error = self.growth * (x.abs() @ self.size.T + self.size_offset) + TINY
        error[x.abs().amax(dim=1) > self.reach] = torch.inf
        return Box(x @ self.weight.T + self.offset, error)


class AffineNetwork:
    """A float64 network in eval mode all of whose operations are affine.

    Raises:
        HierclsError: an operation is not; names it.
    """

    def __init__(self, network: nn.Module):
        if any(layer.training for layer in network.modules()):
            raise HierclsError("exact-linear: a network in train mode depends on its batch and cannot be certified")
        self.network = network
        self.graph = trace(network)
        self.operations = moved_by_input(self.graph)
        self.moved = {node for node in self.graph.nodes if node.op == "placeholder"} | set(self.operations)
        for node in self.operations:
            if not self._affine(node):
                raise HierclsError(f"exact-linear: {operation(network, node)} is not affine; ibp bounds such networks")

    def fold(self, shape: tuple[int, ...]) -> AffineMap:
        """The affine map on inputs of one shape."""
        device = next((parameter.device for parameter in self.network.parameters()), torch.device("cpu"))
        origin = torch.zeros(1, *shape, dtype=torch.float64, device=device)
        weight, offset = _derivative(Traced(self.network, self.graph), origin)
        last = result(self.graph)
        size, size_offset = _derivative(lambda x: self._sizes(x)[last], origin)
        growth = FLOAT32.growth(self._terms(origin) + SPARE)
        return AffineMap(weight, offset, size, size_offset, growth, self._reach(origin))

    def _sizes(self, x: torch.Tensor) -> Environment:
        """The value of every operation at x >= 0 with absolute values in the place of the network's own numbers."""

        def call(node: fx.Node, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
            moved = node in self.moved
            return (self._size if moved else partial(plain, self.network))(node, arguments, options)

        return evaluate(self.network, self.graph, x, call)

    def _terms(self, origin: torch.Tensor) -> int:
        """Roundings along the whole network."""
        sizes = self._sizes(origin)
        return sum(self._roundings(node, sizes[node.all_input_nodes[0]]) for node in self.operations)

    def _reach(self, origin: torch.Tensor) -> float:
        """Sizes are affine and grow with x: from their values where x is 0 and where it is 1."""
        low, high = self._sizes(origin), self._sizes(torch.ones_like(origin))
        reach = LARGEST
        for node in self.operations:
            if isinstance(low[node], torch.Tensor):
                room = LARGEST - self._partial_sums(node, low)
                reach = min(reach, room / max(self._partial_sums(node, high), TINY))
        return max(reach, 0.0)

    def _partial_sums(self, node: fx.Node, sizes: Environment) -> float:
        """The largest partial sum of an operation; a mean adds up its entries before it divides."""
        if node.op == "call_module" and isinstance(layer_of(self.network, node), POOLS):
            added = sizes[node.all_input_nodes[0]]
            return added.max().item() * _pooled(added)
        return sizes[node].max().item()

    def _affine(self, node: fx.Node) -> bool:
        if node.op == "call_module":
            return type(layer_of(self.network, node)) in (*MATRICES, *NORMS, *RANDOM, *LINEAR_LAYERS)
        if asks_shape(node):
            return True
        if node.target not in SIZES:
            return node.target in MOVES
        if node.target in (operator.mul, torch.mul) and all(factor in self.moved for factor in node.args):
            return False
        if node.target in (operator.truediv, torch.div) and node.args[1] in self.moved:
            return False
        return not node.kwargs and len(node.args) == 2

    def _size(self, node: fx.Node, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """The operation with absolute values in the place of its own numbers."""
        if node.op == "call_module":
            return _layer_size(layer_of(self.network, node), arguments[0])
        if node.target not in SIZES:
            return plain(self.network, node, arguments, options)
        given = [
            value if source in self.moved else abs(as_number(value)) + (0 if node.target in DIVISIONS else TINY)
            for source, value in zip(node.args, arguments, strict=True)
        ]
        return SIZES[node.target](*given) + TINY

    def _roundings(self, node: fx.Node, x: torch.Tensor) -> int:
        layer = layer_of(self.network, node) if node.op == "call_module" else None
        if isinstance(layer, MATRICES):
            weight = layer.weight
            assert isinstance(weight, torch.Tensor)
            return weight[0].numel() + 4
        if isinstance(layer, POOLS):
            return _pooled(x) + 4
        return NORMALISING if isinstance(layer, NORMS) or node.target in SIZES else 0


POOLS: tuple[type[nn.Module], ...] = (nn.AvgPool2d, nn.AdaptiveAvgPool2d)

LINEAR_LAYERS: tuple[type[nn.Module], ...] = (nn.Flatten, nn.Unflatten, nn.Identity, *POOLS)
"""Layers without numbers of their own."""

SIZES: Mapping[Any, Callable[..., Any]] = {
    **dict.fromkeys((operator.add, torch.add, operator.sub, torch.sub), operator.add),
    **dict.fromkeys((operator.mul, torch.mul), operator.mul),
    **dict.fromkeys((operator.truediv, torch.div), operator.truediv),
}
"""Arithmetic on absolute values."""

DIVISIONS = (operator.truediv, torch.div)

MOVES = frozenset((torch.flatten, torch.reshape, "flatten", "reshape", "view"))
"""Operations that only move entries."""


def _pooled(x: torch.Tensor) -> int:
    """The most entries that a pool adds up: a whole map, with a channel axis before it or without."""
    return prod(x.shape[-2:])


def _layer_size(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    if isinstance(layer, MATRICES):
        weight, bias = layer.weight, layer.bias
        assert isinstance(weight, torch.Tensor)
        size = application(layer)(x + TINY, weight.abs() + TINY, bias.abs() if isinstance(bias, torch.Tensor) else None)
        return size + TINY
    if isinstance(layer, NORMS):
        shape = (1, -1) + (1,) * (x.dim() - 2)
        scale, mean, shift = (part.abs().reshape(shape) for part in running(layer))
        size = (x + mean + TINY) * (scale + TINY) + shift + TINY
        return torch.where(scale <= LARGEST, size, torch.inf)
    if isinstance(layer, nn.AvgPool2d):
        require_divisor(layer.divisor_override)
    return layer(x) + TINY if isinstance(layer, POOLS) else layer(x)


def _derivative(function: Callable[[torch.Tensor], torch.Tensor], origin: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Slope (K, entries) and value (K,) of an affine function at 0."""
    with torch.enable_grad():
        x = origin.clone().requires_grad_(True)
        y = function(x).squeeze(0)
        rows = [torch.autograd.grad(output, x, retain_graph=True)[0].flatten() for output in y]
    return torch.stack(rows), y.detach()
