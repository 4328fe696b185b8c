"""Where in memory the channels of a training pass lie: last through convolutions, first everywhere else.

Convolutions in float32 are faster with channels last, above all backwards. Other operations, a `view` for one, see
the layout in which the network was written, and their gradients come back with channels last again.
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
    """The operations of a network at which channels move."""

    def __init__(self, network: nn.Module, graph: fx.Graph):
        spatial = {node for node in graph.nodes if _keeps_layout(network, node)}
        self._last = {node for node in spatial if node.op == "call_module" and _is_convolution(network, node)}
        self._first = {node for node in spatial if any(user not in spatial for user in node.users)}

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
    if x.dim() != 4 or x.is_contiguous() or not x.is_contiguous(memory_format=torch.channels_last):
        return x
    return _First.apply(x)


def _moved(value: Any, move: Any) -> Any:
    return value.moved(move) if isinstance(value, Box) else move(value)


def _keeps_layout(network: nn.Module, node: fx.Node) -> bool:
    if node.op == "call_module":
        return type(layer_of(network, node)) in SPATIAL_LAYERS
    return node.target in SPATIAL_FUNCTIONS


def _is_convolution(network: nn.Module, node: fx.Node) -> bool:
    return type(layer_of(network, node)) is nn.Conv2d


class _First(torch.autograd.Function):
    """Channels first; the gradient goes back with channels last, as the convolutions before take it."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.contiguous()

    @staticmethod
    def backward(ctx: Any, by_x: torch.Tensor) -> torch.Tensor:
        return by_x.contiguous(memory_format=torch.channels_last)
