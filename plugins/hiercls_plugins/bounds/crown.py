"""Linear bounds of a network's outputs over boxes, whose inner boxes are interval bounds: CROWN-IBP."""

from copy import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from hiercls.words.errors import HierclsError
from hiercls_plugins.bounds import affine, backward
from hiercls_plugins.bounds.bounded import Bounded, Features
from hiercls_plugins.bounds.boxes import Box
from hiercls_plugins.bounds.lines import through_relu_in_training
from hiercls_plugins.bounds.operations import layer_of, operation
from hiercls_plugins.bounds.rounding import PLAIN
from hiercls_plugins.bounds.rules import MATRICES, NORMS
from hiercls_plugins.bounds.statistics import Statistics
from hiercls_plugins.bounds.tracing import plain

SPARE = 1.001

SPENT = 1e-9
"""What the backward pass in float64 may itself lose, as a share of the magnitudes that it adds up."""


class Crown:
    """Lower bounds of rows of the outputs by one pass backwards (Zhang et al. 2018, 2020).

    Every operation between the input and the rows is replaced by lines below and above it, which are valid over
    its interval box; an operation without a rule of its own is bounded by that box. With a rounding, what float32
    may err at every operation is subtracted too, and all bounds hold for the deployed network as well.

    Args:
        bounded: the traced network.
        features: its bounds with the boxes kept.
        statistics: of the concrete pass, for batch norms in train mode.
    """

    def __init__(self, bounded: Bounded, features: Features, statistics: Statistics | None = None):
        if not features.values:
            raise ValueError("CROWN needs the boxes of all operations")
        self.bounded = bounded
        self.features = features
        self.statistics = statistics or Statistics()
        self.network = bounded.network
        self._exact = copy(bounded)
        self._exact.rounding = PLAIN

    def lowest(self, rows: torch.Tensor, adaptive: bool = True) -> torch.Tensor:
        """Lower bounds of linear functions of the outputs.

        Args:
            rows: (N, R, K).
            adaptive: the slope below a ReLU that may have either sign: 1 where that is closer, or always 0.

        Returns:
            (N, R), differentiable in training.
        """
        pull = _Pull(self, adaptive, len(rows))
        pull.join(rows @ self.features.bias)
        last = self.bounded._last
        pull.give(last.all_input_nodes[0] if self.bounded._merges else last, rows @ self.features.weight)
        for node in reversed(list(self.bounded.graph.nodes)):
            if node in pull.pending:
                self._step(node, pull)
        return pull.total()

    def _step(self, node: fx.Node, pull: "_Pull") -> None:
        rows = pull.pending.pop(node)
        box = self.features.values[node]
        if not box.centre.shape[0] == rows.shape[0] == pull.count:
            raise HierclsError(
                f"bounds: {operation(self.network, node)} moves the batch from the first axis; linear bounds have no "
                "rule for that"
            )
        if node.op == "placeholder":
            pull.join(backward.concretised(rows, box), rows.abs(), box)
            return
        if self.bounded.rounding:
            pull.charge(rows, self._slack(node, box))
        if _is_relu(self.network, node):
            source = node.all_input_nodes[0]
            box = self.features.values[source]
            slope = _slope(self.network, node)
            if pull.adaptive and slope == 0 and not self.bounded.rounding:
                pull.pass_on(source, *through_relu_in_training(rows, box))
            else:
                pull.pass_on(source, *backward.through_relu(rows, box, slope, pull.adaptive))
        elif _weighted(self.network, node):
            self._layer(node, rows, pull)
        elif _affine(self.network, node):
            self._apart(node, rows, pull)
        else:
            pull.join(backward.concretised(rows, box), rows.abs(), box)

    def _layer(self, node: fx.Node, rows: torch.Tensor, pull: "_Pull") -> None:
        """Layers with weights; a batch norm folds into the one before it, as it did in the interval bounds."""
        layer: Any = layer_of(self.network, node)
        source = node.all_input_nodes[0]
        if type(layer) not in NORMS:
            return self._matrix(node, layer, layer.weight, layer.bias, rows, pull)
        parts = self.bounded._parts(node, layer, self.statistics)
        matrix = self.bounded._folded.get(node)
        if matrix is None or not _direct(layer_of(self.network, matrix)):
            return pull.pass_on(source, *backward.through_norm(rows, parts))
        layer = layer_of(self.network, matrix)
        return self._matrix(matrix, layer, *affine.folded_weights(layer, parts), rows, pull)

    def _matrix(
        self, node: fx.Node, layer: Any, weight: torch.Tensor, bias: torch.Tensor | None, rows: torch.Tensor, pull: Any
    ) -> None:
        source = node.all_input_nodes[0]
        if isinstance(layer, nn.Linear):
            pull.pass_on(source, *backward.through_linear(rows, weight, bias))
        elif _direct(layer):
            size = self.features.values[source].centre.shape[-2:]
            pull.pass_on(source, *backward.through_convolution(rows, layer, weight, bias, size))
        else:
            self._apart(node, rows, pull)

    def _apart(self, node: fx.Node, rows: torch.Tensor, pull: "_Pull") -> None:
        """An affine operation on one or more boxes, by its own gradient."""
        values = self.features.values
        sources = [source for source in node.all_input_nodes if isinstance(values[source], Box)]
        boxes = [values[source] for source in sources]
        pulled = backward.through_affine(rows, lambda *given: self._plain(node, sources, given), boxes)
        for source, (back, constant) in zip(sources, pulled, strict=True):
            pull.pass_on(source, back, constant)

    def _plain(self, node: fx.Node, sources: list[fx.Node], given: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """The operation at other values of its inputs."""
        values = dict(zip(sources, given, strict=True))
        arguments = fx.map_arg(node.args, lambda source: values.get(source, self.features.values.get(source)))
        options = fx.map_arg(node.kwargs, lambda source: values.get(source, self.features.values.get(source)))
        return plain(self.network, node, arguments, options)

    def _slack(self, node: fx.Node, widened: Box) -> torch.Tensor:
        """What float32 may add to each entry of an operation's result, from the boxes of its inputs."""
        arguments = fx.map_arg(node.args, self.features.values.__getitem__)
        options = fx.map_arg(node.kwargs, self.features.values.__getitem__)
        exact = self._exact._bound(node, arguments, options, self.statistics)
        return widened.radius - exact.radius + (widened.centre - exact.centre).abs()


class _Pull:
    """Rows on their way back, and the sums they have left behind."""

    def __init__(self, crown: Crown, adaptive: bool, count: int):
        self.adaptive = adaptive
        self.count = count
        self.pending: dict[fx.Node, torch.Tensor] = {}
        self._certain = bool(crown.bounded.rounding)
        self._total: torch.Tensor | float = 0.0
        self._size: torch.Tensor | float = 0.0

    def give(self, node: fx.Node, rows: torch.Tensor) -> None:
        self.pending[node] = self.pending[node] + rows if node in self.pending else rows

    def pass_on(self, source: fx.Node, rows: torch.Tensor, constant: torch.Tensor) -> None:
        self.give(source, rows)
        self.join(constant)

    def join(self, amount: torch.Tensor, rows: torch.Tensor | None = None, box: Box | None = None) -> None:
        self._total = self._total + amount
        if self._certain:
            self._size = self._size + amount.abs()
            if rows is not None and box is not None:
                self._size = self._size + backward.concretised(rows, Box(box.magnitude, torch.zeros_like(box.radius)))

    def charge(self, rows: torch.Tensor, slack: torch.Tensor) -> None:
        """Subtract what float32 errs, and with it what this pass itself errs at the same operation.

        In float64 a row's product errs by at most a 2^-29th part of what float32 may err in the product forwards,
        times the ratio of the additions in both; SPARE is more than that for sums of a million terms.
        """
        self._total = self._total - SPARE * backward.concretised(rows.abs(), Box(slack, torch.zeros_like(slack)))

    def total(self) -> torch.Tensor:
        assert isinstance(self._total, torch.Tensor)
        return self._total - SPENT * self._size if self._certain else self._total


def _is_relu(network: nn.Module, node: fx.Node) -> bool:
    return _kind(network, node) in backward.RELUS and 0 <= _slope(network, node) <= 1


def _slope(network: nn.Module, node: fx.Node) -> float:
    """The slope of a ReLU below 0."""
    if node.op == "call_module":
        return float(getattr(layer_of(network, node), "negative_slope", 0.0))
    if node.target is F.leaky_relu:
        return float(node.kwargs.get("negative_slope", node.args[1] if len(node.args) > 1 else 0.01))  # type: ignore
    return 0.0


def _weighted(network: nn.Module, node: fx.Node) -> bool:
    return _kind(network, node) in (*MATRICES, *NORMS)


def _affine(network: nn.Module, node: fx.Node) -> bool:
    return _kind(network, node) in backward.AFFINE


def _direct(layer: nn.Module) -> bool:
    """Whether the layer's rows go back by one product or one transposed convolution."""
    return isinstance(layer, nn.Linear) or backward.plainly_padded(layer)


def _kind(network: nn.Module, node: fx.Node) -> Any:
    return type(layer_of(network, node)) if node.op == "call_module" else node.target
