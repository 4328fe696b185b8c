"""Where in memory the channels of a training pass lie: last through convolutions, first everywhere else.

Convolutions in float32 are faster with channels last, above all backwards. Other operations, a `view` for one, see
the layout in which the network was written, and their gradients come back with channels last again. A dense layer on
a flattened image takes it as it lies, by kernels of the image's size.
"""

import operator
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from hiercls_plugins.bounds.boxes import Box
from hiercls_plugins.bounds.operations import layer_of

SPATIAL_LAYERS: tuple[type[nn.Module], ...] = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh)
SPATIAL_LAYERS += (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Identity, nn.Dropout, nn.Dropout2d)

SPATIAL_FUNCTIONS: frozenset[Any] = frozenset((F.relu, torch.relu, operator.add, torch.add, "relu", "add"))


class Layout:
    """The operations of a network at which channels move.

    Args:
        joins: whether images may be flattened by the dense layer that takes them.

    Attributes:
        flattens: those that flatten images for one dense layer alone, and may be left to it.
        dense: these layers.
    """

    def __init__(self, network: nn.Module, graph: fx.Graph, joins: bool):
        spatial = {node for node in graph.nodes if _keeps_layout(network, node)}
        self.flattens = {node for node in graph.nodes if joins and _flattens_for_dense(network, node, spatial)}
        self.dense = {user for node in self.flattens for user in node.users}
        ready = spatial | self.flattens
        self._last = {node for node in spatial if node.op == "call_module" and _is(network, node, nn.Conv2d)}
        self._first = {node for node in spatial if any(user not in ready for user in node.users)}

    def given(self, node: fx.Node, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments of an operation as it takes them fastest."""
        return (_moved(arguments[0], channels_last), *arguments[1:]) if node in self._last else arguments

    def handed_on(self, node: fx.Node, value: Any) -> Any:
        """The result of an operation as its users expect it."""
        return _moved(value, channels_first) if node in self._first else value


def channels_last(x: torch.Tensor) -> torch.Tensor:
    """Images with the channels of a pixel side by side; float64, which only certificates use, stays as it is."""
    if x.dim() != 4 or x.dtype == torch.float64:
        return x
    return x.to(memory_format=torch.channels_last)


def channels_first(x: torch.Tensor) -> torch.Tensor:
    """Images as torch makes them."""
    return _First.apply(x) if _lying(x)[1] else x


def _lying(x: torch.Tensor) -> tuple[torch.Size, bool]:
    """The shape, and whether these are images with channels last."""
    return x.shape, x.dim() == 4 and not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)


def covering(layer: nn.Linear, x: Any) -> torch.Tensor | None:
    """The weight of a dense layer as kernels that cover a whole image, where images lie with channels last.

    Such a convolution gives what the dense layer gives on the flattened images, in less time than a product of
    matrices and without moving an entry of them.

    Args:
        x: (N, C, H, W), a tensor or a box.

    Returns:
        (K, C, H, W) with channels last; None where images lie otherwise, or are fewer than the outputs, so that moving
        them is cheaper than moving the weight.
    """
    shape, lies_last = _lying(x.centre if isinstance(x, Box) else x)
    if not lies_last or len(layer.weight) > shape[0]:
        return None
    return channels_last(layer.weight.unflatten(1, shape[1:]))


def cover(x: torch.Tensor, kernels: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Images under kernels of their own size: (N, K)."""
    return F.conv2d(x, kernels, bias).flatten(1)


def flattened(x: Any) -> Any:
    """Images, or boxes of them, as rows in the order in which the network was written."""
    return _moved(x, lambda v: channels_first(v).flatten(1))


def _moved(value: Any, move: Any) -> Any:
    return value.moved(move) if isinstance(value, Box) else move(value)


def _keeps_layout(network: nn.Module, node: fx.Node) -> bool:
    if node.op == "call_module":
        return type(layer_of(network, node)) in SPATIAL_LAYERS
    return node.target in SPATIAL_FUNCTIONS


def _flattens_for_dense(network: nn.Module, node: fx.Node, spatial: set[fx.Node]) -> bool:
    """Whether an operation makes rows of images in a layout of ours, for one dense layer that is not the last."""
    if node.op == "call_module":
        layer = layer_of(network, node)
        flattens = isinstance(layer, nn.Flatten) and (layer.start_dim, layer.end_dim) == (1, -1)
    else:
        flattens = node.target in (torch.flatten, "flatten") and node.args[1:] == (1,) and not node.kwargs
    users = list(node.users)
    return (
        flattens
        and node.all_input_nodes[0] in spatial
        and len(users) == 1
        and users[0].op == "call_module"
        and _is(network, users[0], nn.Linear)
        and all(user.op != "output" for user in users[0].users)
    )


def _is(network: nn.Module, node: fx.Node, kind: type[nn.Module]) -> bool:
    return type(layer_of(network, node)) is kind


class _First(torch.autograd.Function):
    """Channels first; the gradient goes back with channels last, as the convolutions before take it."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.contiguous()

    @staticmethod
    def backward(ctx: Any, by_x: torch.Tensor) -> torch.Tensor:
        return by_x.contiguous(memory_format=torch.channels_last)
