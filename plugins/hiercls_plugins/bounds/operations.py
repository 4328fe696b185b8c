"""One traced operation, as its author knows it."""

from torch import fx, nn

SHAPE_METHODS = ("size", "dim")

SHAPE_ATTRIBUTES = ("shape", "ndim", "dtype", "device")
"""What a network may ask of a tensor without looking at its values."""


def layer_of(network: nn.Module, node: fx.Node) -> nn.Module:
    return network.get_submodule(str(node.target))


def operation(network: nn.Module, node: fx.Node) -> str:
    """The kind of layer or function, and its place in the network."""
    if node.op == "call_module":
        return f"{type(layer_of(network, node)).__name__} at {node.target!r}"
    if node.op == "call_method":
        return f"the method {node.target!r} of a tensor{_place(node)}"
    if node.target is getattr:
        return f"the attribute {node.args[1]!r} of a tensor{_place(node)}"
    return f"the function {getattr(node.target, '__name__', node.target)!r}{_place(node)}"


def _place(node: fx.Node) -> str:
    """The module whose forward makes the call, as torch.fx remembers it."""
    stack = list(node.meta.get("nn_module_stack", {}))
    return f" in {stack[-1]!r}" if stack and stack[-1] else ""


def asks_shape(node: fx.Node) -> bool:
    """Whether an operation looks at the form of a tensor alone."""
    if node.target is getattr:
        return node.args[1] in SHAPE_ATTRIBUTES
    return node.op == "call_method" and node.target in SHAPE_METHODS
