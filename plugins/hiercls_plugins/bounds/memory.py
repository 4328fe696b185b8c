"""Operations that overwrite a tensor, which the bounds follow only where nobody sees the old values."""

import operator
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from hiercls.words.errors import HierclsError
from hiercls_plugins.bounds.operations import asks_shape, layer_of, operation
from hiercls_plugins.bounds.rules import MATRICES, NORMS

AUGMENTED = {"__iadd__": operator.iadd, "__isub__": operator.isub}
AUGMENTED |= {"__imul__": operator.imul, "__itruediv__": operator.itruediv}

NEW_LAYERS: tuple[type[nn.Module], ...] = (*MATRICES, *NORMS, nn.ReLU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh)
NEW_LAYERS += (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)

NEW_TENSORS: frozenset[Any] = frozenset(
    (F.linear, F.conv2d, F.relu, torch.relu, F.leaky_relu, torch.sigmoid, F.sigmoid, torch.tanh, F.tanh)
    + (F.max_pool2d, F.avg_pool2d, F.adaptive_avg_pool2d, torch.mean, torch.cat, operator.neg, torch.neg)
    + (operator.add, torch.add, operator.sub, torch.sub, operator.mul, torch.mul, operator.truediv, torch.div)
    + ("relu", "sigmoid", "tanh", "mean", "add", "sub", "mul", "div")
)
"""Operations whose result shares no memory with their arguments; any other may be a view of them."""


class Overwritable(fx.Proxy):
    """A traced tensor that remembers `h += 1` as what it is: torch.fx records `h = h + 1`."""


def _augmented(function: Any) -> Any:
    return lambda self, other: self.tracer.create_proxy("call_function", function, (self, other), {})


for _name, _function in AUGMENTED.items():
    setattr(Overwritable, _name, _augmented(_function))


def require_current(network: nn.Module, graph: fx.Graph) -> None:
    """Bounds have values, not memory: what is overwritten must not be read again, also not through a view.

    Raises:
        HierclsError: the old values would be bounded where the network sees the new ones; names the operation.
    """
    memory: dict[fx.Node, frozenset[fx.Node]] = {}
    overwritten: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        for source in node.all_input_nodes:
            if source in overwritten and not asks_shape(node):
                _refuse(network, overwritten[source], "and what it overwrites is used again")
        memory[node] = _memory(network, node, memory)
        if not overwrites(network, node):
            continue
        first, *others = node.all_input_nodes
        target = memory[first]
        if "out" in node.kwargs or any(owner.op in ("placeholder", "get_attr") for owner in target):
            _refuse(network, node, "and overwrites the input, a parameter or a buffer")
        if any(memory[other] & target for other in others):
            _refuse(network, node, "and reads what it overwrites")
        overwritten |= {other: node for other in memory if other is not node and memory[other] & target}


def overwrites(network: nn.Module, node: fx.Node) -> bool:
    """Whether an operation changes a tensor that it is given."""
    if "out" in node.kwargs:
        return True
    if node.op == "call_module":
        return bool(getattr(layer_of(network, node), "inplace", False))
    if node.op == "call_method":
        return str(node.target).endswith("_")
    place = {F.relu: 1, F.leaky_relu: 2}.get(node.target)  # type: ignore[arg-type]
    if place is not None:
        return bool(node.kwargs.get("inplace", node.args[place] if len(node.args) > place else False))
    return node.target in AUGMENTED.values()


def _memory(network: nn.Module, node: fx.Node, memory: dict[fx.Node, frozenset[fx.Node]]) -> frozenset[fx.Node]:
    """The operations whose tensors this one's result may share."""
    if asks_shape(node):
        return frozenset()
    kind = type(layer_of(network, node)) if node.op == "call_module" else node.target
    new = kind in NEW_LAYERS if node.op == "call_module" else kind in NEW_TENSORS
    if node.op in ("placeholder", "get_attr") or (new and not overwrites(network, node)):
        return frozenset((node,))
    sources = node.all_input_nodes[:1] if overwrites(network, node) else node.all_input_nodes
    return frozenset((node,)).union(*(memory[source] for source in sources))


def _refuse(network: nn.Module, node: fx.Node, why: str) -> None:
    raise HierclsError(f"bounds: {operation(network, node)} works in place, {why}; it cannot be bounded")
