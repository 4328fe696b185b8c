"""Bounds of a whole network, traced once."""

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from hiercls.words.errors import HierclsError
from hiercls_plugins.bounds import affine
from hiercls_plugins.bounds.boxes import Box
from hiercls_plugins.bounds.layout import Layout, cover, covering, flattened
from hiercls_plugins.bounds.operations import layer_of, operation
from hiercls_plugins.bounds.rounding import PLAIN, Rounding
from hiercls_plugins.bounds.rules import FUNCTIONS, LAYERS, METHODS, NORMS, RANDOM, SEVERAL
from hiercls_plugins.bounds.statistics import Normalising, Statistics, concrete, running
from hiercls_plugins.bounds.tracing import Environment, evaluate, moved_by_input, plain, result, trace


@dataclass(frozen=True)
class Features:
    """What the last affine layer sees, and that layer, so that linear questions about the outputs merge into it.

    Attributes:
        box: (N, F).
        weight: (K, F), the identity where the network does not end in a linear layer.
        bias: (K,).
        before_relu: the box before every ReLU, in order.
        values: the box, or the constant, that every operation gives; empty where they were not kept.
    """

    box: Box
    weight: torch.Tensor
    bias: torch.Tensor
    before_relu: tuple[Box, ...] = field(default=())
    values: Environment = field(default_factory=dict)

    def outputs(self, rounding: Rounding = PLAIN) -> Box:
        """Bounds of the outputs, (N, K)."""
        return affine.linear(rounding, self.box, self.weight, self.bias)

    def lowest(self, rows: torch.Tensor) -> torch.Tensor:
        """Lower bounds of linear functions of the outputs, without rounding, differentiable.

        Args:
            rows: (N, R, K), each a function of its input's outputs.

        Returns:
            (N, R).
        """
        middle = rows @ F.linear(self.box.centre, self.weight, self.bias)[:, :, None]
        return (middle - (rows @ self.weight).abs() @ self.box.radius[:, :, None]).squeeze(2)


class Bounded:
    """A network whose outputs can be bounded over boxes.

    It reads the network's parameters where they are, so that one trace serves a whole training; it changes
    none of them and no running statistics, except those that `concrete` moves as the network's own pass would.

    Args:
        network: traced in its present mode; to bound it in train mode, `features` needs statistics.
        rounding: PLAIN, or what a certificate must enclose; then the network is float64 and in eval mode.

    Raises:
        HierclsError: an operation has no rule, or a certificate is asked of a network in train mode.
    """

    def __init__(self, network: nn.Module, rounding: Rounding = PLAIN):
        if rounding and any(layer.training for layer in network.modules()):
            raise HierclsError("bounds: a network in train mode depends on its batch and cannot be certified")
        self.network = network
        self.rounding = rounding
        self.graph = trace(network)
        self._layers: dict[fx.Node, Any] = {
            node: layer_of(network, node) for node in self.graph.nodes if node.op == "call_module"
        }
        self._moved = frozenset(moved_by_input(self.graph))
        self._last = result(self.graph)
        self._layout = Layout(network, self.graph, joins=not rounding)
        self._merges = self._is(self._last, nn.Linear) and len(self._last.users) == 1
        self._folded = {} if rounding else self._foldable()

    def concrete(self, x: torch.Tensor) -> tuple[torch.Tensor, Statistics]:
        """The network's own pass, and what it leaves to bounds of the same batch."""
        norms: dict[nn.Module, Normalising] = {}
        kernels: dict[nn.Module, torch.Tensor] = {}

        def call(node: fx.Node, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
            if node in self._layout.flattens:
                return arguments[0]
            layer: Any = self._layers.get(node)
            if self._in_training(node):
                y, norms[layer] = concrete(layer, arguments[0])
            elif node in self._layout.dense:
                covers = covering(layer, arguments[0])
                if covers is None:
                    y = layer(flattened(arguments[0]))
                else:
                    kernels[layer] = covers
                    y = cover(arguments[0], covers, layer.bias)
            else:
                y = plain(self.network, node, self._layout.given(node, arguments), options)
            return self._layout.handed_on(node, y)

        return evaluate(self.network, self.graph, x, call)[self._last], Statistics(norms, kernels)

    def features(self, box: Box, statistics: Statistics | None = None, keep: bool = False) -> Features:
        """Bounds up to the last affine layer.

        Args:
            statistics: of the concrete pass, for batch norms in train mode.
            keep: also give the boxes of all operations.
        """
        relus: list[Box] = []

        def call(node: fx.Node, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
            if node not in self._moved:
                return plain(self.network, node, arguments, options)
            if node in self._layout.flattens:
                return arguments[0]
            if self._is(node, nn.ReLU):
                relus.append(arguments[0])
            bound = self._bound(node, self._layout.given(node, arguments), options, statistics or Statistics())
            return self._layout.handed_on(node, bound)

        values = evaluate(self.network, self.graph, box, call)
        if self._merges:
            layer = self._layers[self._last]
            bias = layer.weight.new_zeros(len(layer.weight)) if layer.bias is None else layer.bias
            return Features(values[self._last], layer.weight, bias, tuple(relus), values if keep else {})
        outputs: Box = values[self._last]
        identity = torch.eye(outputs.centre.shape[1], dtype=outputs.centre.dtype, device=outputs.centre.device)
        return Features(outputs, identity, identity.new_zeros(len(identity)), tuple(relus), values if keep else {})

    def outputs(self, box: Box, statistics: Statistics | None = None) -> Box:
        """Bounds of the outputs, (N, K)."""
        return self.features(box, statistics).outputs(self.rounding)

    def _bound(self, node: fx.Node, arguments: tuple[Any, ...], options: dict[str, Any], statistics: Statistics) -> Any:
        if node.op == "call_module":
            return self._bound_layer(node, arguments[0], statistics)
        rule = FUNCTIONS[node.target] if node.op == "call_function" else METHODS[str(node.target)]
        others = [*arguments[1:], *options.values()]
        if rule not in SEVERAL and (
            not isinstance(arguments[0], Box) or any(isinstance(other, Box) for other in others)
        ):
            raise HierclsError(f"bounds: no rule for {operation(self.network, node)} with the input in this place")
        try:
            return rule(self.rounding, *arguments, **options)
        except (TypeError, IndexError) as error:
            named = operation(self.network, node)
            raise HierclsError(f"bounds: no rule for {named} with these arguments ({error})") from error

    def _bound_layer(self, node: fx.Node, x: Box, statistics: Statistics) -> Box:
        layer = self._layers[node]
        if node in self._folded.values() or (node is self._last and self._merges):
            return x
        if type(layer) in RANDOM and layer.training:
            raise HierclsError(f"bounds: no rule for {operation(self.network, node)} in train mode")
        if type(layer) in NORMS:
            parts = self._parts(node, layer, statistics)
            if node in self._folded:
                return affine.folded(self._layers[self._folded[node]], parts, x)
            return affine.batch_norm(parts, x, self.rounding)
        if node in self._layout.dense:
            covers = statistics.kernels[layer] if layer in statistics.kernels else covering(layer, x)
            if covers is None:
                return affine.linear(self.rounding, flattened(x), layer.weight, layer.bias)
            return affine.weighted(x, cover, covers, layer.bias, self.rounding)
        try:
            return LAYERS[type(layer)](layer, x, self.rounding)
        except TypeError as error:
            named = operation(self.network, node)
            raise HierclsError(f"bounds: no rule for {named} with these arguments ({error})") from error

    def _parts(self, node: fx.Node, layer: nn.Module, statistics: Statistics) -> Normalising:
        if not layer.training:
            return running(layer)
        if layer not in statistics.norms:
            raise HierclsError(
                f"bounds: {operation(self.network, node)} is in train mode; give the statistics of `concrete`"
            )
        return statistics.norms[layer]

    def _is(self, node: fx.Node, *kinds: type[nn.Module]) -> bool:
        return type(self._layers.get(node)) in kinds

    def _in_training(self, node: fx.Node) -> bool:
        return self._is(node, *NORMS) and self._layers[node].training

    def _foldable(self) -> dict[fx.Node, fx.Node]:
        """Each batch norm that directly follows a convolution, and nothing else does.

        A linear layer has more weights than outputs: there scaling the outputs is cheaper.
        """
        found = {}
        for node in self.graph.nodes:
            if not self._is(node, *NORMS):
                continue
            source = node.all_input_nodes[0]
            if self._is(source, nn.Conv1d, nn.Conv2d) and len(source.users) == 1:
                found[node] = source
        return found
