"""A network as a list of known operations."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import fx, nn

from hiercls.words.errors import HierclsError
from hiercls_plugins.bounds.memory import Overwritable, require_current
from hiercls_plugins.bounds.operations import asks_shape, layer_of, operation
from hiercls_plugins.bounds.rules import FUNCTIONS, LAYERS, METHODS, NORMS

Environment = dict[fx.Node, Any]


def trace(network: nn.Module) -> fx.Graph:
    """The operations of a network from its one input to its one output, every one of them with a rule.

    Raises:
        HierclsError: the network cannot be traced, an operation on its input has no rule, or a layer, a constant,
            a hook or an operation in place does what a trace does not show; names it.
    """
    _refuse_hooks(network)
    _refuse_own_calls(network)
    try:
        graph = _Tracer().trace(network)
    except (fx.proxy.TraceError, TypeError, NameError, RuntimeError, IndexError, AttributeError, ValueError) as error:
        raise HierclsError(f"bounds: {type(network).__name__} cannot be traced: {error}") from error
    if len([node for node in graph.nodes if node.op == "placeholder"]) != 1:
        raise HierclsError(f"bounds: {type(network).__name__} does not have one input")
    _name_no_input(graph)
    moved = moved_by_input(graph)
    if result(graph) not in moved:
        raise HierclsError(f"bounds: the output of {type(network).__name__} does not depend on its input")
    for node in moved:
        if not known(network, node):
            raise HierclsError(f"bounds: no rule for {operation(network, node)}; it cannot be bounded")
    require_current(network, graph)
    _refuse_constants(network, graph)
    _refuse_shared_norms(network, graph)
    return graph


def moved_by_input(graph: fx.Graph) -> list[fx.Node]:
    """The operations whose values depend on the input's values, in order."""
    moved: set[fx.Node] = {node for node in graph.nodes if node.op == "placeholder"}
    found = []
    for node in graph.nodes:
        if node.op.startswith("call") and any(source in moved for source in node.all_input_nodes):
            found.append(node)
            if not asks_shape(node):
                moved.add(node)
    return found


def known(network: nn.Module, node: fx.Node) -> bool:
    if node.op == "call_module":
        return type(layer_of(network, node)) in LAYERS
    if node.target is getattr:
        return asks_shape(node)
    return node.target in (FUNCTIONS if node.op == "call_function" else METHODS)


def evaluate(
    network: nn.Module, graph: fx.Graph, x: Any, call: Callable[[fx.Node, tuple[Any, ...], dict[str, Any]], Any]
) -> Environment:
    """The value of every operation, each computed by `call` from the values before it."""
    values: Environment = {}
    for node in graph.nodes:
        if node.op == "placeholder":
            values[node] = x
        elif node.op == "get_attr":
            values[node] = _attribute(network, str(node.target))
        else:
            arguments = fx.map_arg(node.args, values.__getitem__)
            options = fx.map_arg(node.kwargs, values.__getitem__)
            values[node] = arguments[0] if node.op == "output" else call(node, arguments, options)
    return values


def plain(network: nn.Module, node: fx.Node, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """An operation as the network itself computes it."""
    if node.op == "call_module":
        return layer_of(network, node)(*arguments, **options)
    if node.op == "call_method":
        return getattr(arguments[0], str(node.target))(*arguments[1:], **options)
    assert callable(node.target)
    return node.target(*arguments, **options)


def result(graph: fx.Graph) -> fx.Node:
    """The operation that gives the output."""
    output = next(node for node in graph.nodes if node.op == "output")
    if not isinstance(output.args[0], fx.Node):
        raise HierclsError("bounds: a network must return one tensor")
    return output.args[0]


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m) in LAYERS or super().is_leaf_module(m, module_qualified_name)

    def __init__(self) -> None:
        super().__init__()
        self._autocast = _autocast()

    def create_node(self, *arguments: Any, **options: Any) -> fx.Node:
        if _autocast() != self._autocast:
            raise HierclsError("bounds: the network changes the precision of autocast; it cannot be bounded")
        return super().create_node(*arguments, **options)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return Overwritable(node, self)


def _autocast() -> tuple[bool, ...]:
    """Where autocast is on; training may compute its loss in it."""
    return tuple(torch.is_autocast_enabled(device) for device in ("cpu", "cuda"))


def _attribute(network: nn.Module, path: str) -> Any:
    value: Any = network
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _name_no_input(graph: fx.Graph) -> None:
    """`layer(input=x)` as `layer(x)`: rules take what they bound first."""
    for node in graph.nodes:
        if node.op.startswith("call") and not node.args and "input" in node.kwargs:
            options = dict(node.kwargs)
            node.args, node.kwargs = (options.pop("input"),), options


def _refuse_hooks(network: nn.Module) -> None:
    """A hook or a replaced method changes what a layer computes, and no trace of its kind shows it."""
    if nn.modules.module._global_forward_hooks or nn.modules.module._global_forward_pre_hooks:
        raise HierclsError("bounds: a hook on all modules changes what layers compute; it cannot be bounded")
    for name, layer in network.named_modules():
        replaced = [known for known in vars(layer) if _is_method(type(layer), known)]
        replaced += [known for known in ("forward", "_conv_forward") if _is_patched(type(layer), known)]
        if layer._forward_hooks or layer._forward_pre_hooks or replaced:
            place = f"{type(layer).__name__} at {name!r}"
            raise HierclsError(
                f"bounds: {place} has a hook or a {(replaced or ['forward'])[0]} of its own; it cannot be bounded"
            )


def _is_method(kind: type[nn.Module], name: str) -> bool:
    """Whether a trace passes over this method; of a module that is not a rule's own, only `forward` is."""
    return callable(getattr(kind, name, None)) and (name == "forward" or kind in LAYERS)


def _is_patched(kind: type[nn.Module], name: str) -> bool:
    """Whether a method of torch's own layers was replaced for all of them."""
    method = getattr(kind, name, None)
    return kind in LAYERS and method is not None and not str(method.__module__).startswith("torch.")


def _refuse_own_calls(network: nn.Module) -> None:
    """A `__call__` around `forward` is not traced; that which torch gives a traced module only calls its forward."""
    for kind in type(network).__mro__[: type(network).__mro__.index(nn.Module)]:
        own = vars(kind).get("__call__")
        if own is not None and getattr(own, "__module__", None) != fx.graph_module.__name__:
            raise HierclsError(f"bounds: {kind.__name__} has a __call__ of its own; it cannot be bounded")


def _refuse_constants(network: nn.Module, graph: fx.Graph) -> None:
    """A tensor made while tracing may be another one in the next pass."""
    kept = {name for name, _ in network.named_parameters(remove_duplicate=False)}
    kept |= {name for name, _ in network.named_buffers(remove_duplicate=False)}
    for node in graph.nodes:
        if node.op == "get_attr" and node.target not in kept:
            raise HierclsError(
                f"bounds: {type(network).__name__} uses a tensor that is neither a parameter nor a buffer and may "
                "change between two passes; register it as a buffer"
            )


def _refuse_shared_norms(network: nn.Module, graph: fx.Graph) -> None:
    """Statistics are kept by layer: a batch norm applied twice in training has two sets of them."""
    norms: Iterator[nn.Module] = (layer_of(network, node) for node in graph.nodes if node.op == "call_module")
    training = [layer for layer in norms if type(layer) in NORMS and layer.training]
    if len(set(training)) < len(training):
        raise HierclsError("bounds: a batch norm that is applied twice cannot be bounded in training")
