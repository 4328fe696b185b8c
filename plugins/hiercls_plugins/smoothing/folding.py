"""Deploying a network for smoothing: frozen, in eval mode, its batch norm folded into the convolutions."""

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from hiercls.contracts.frozen import frozen
from hiercls.words.errors import ConfigurationError

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_UNTRACEABLE = (TypeError, RuntimeError, ValueError, NameError, AttributeError, LookupError, AssertionError)
"""What torch.fx raises for control flow on values (a ValueError), for conversions, for len() and its like and for
modules made on the way, and what a network raises that asks its input for more than a trace has."""


def deployed(network: nn.Module, device: str) -> nn.Module:
    """A frozen copy in eval mode with batch norm folded where the network can be traced; the original stays.

    Raises:
        ConfigurationError: a batch norm keeps no running statistics, so that draws would depend on each other.
    """
    copy = frozen(network)
    for name, module in copy.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None:
            raise ConfigurationError(
                f"smoothing: batch norm {name!r} keeps no running statistics, so a draw's answer depends on the others"
            )
    return _folded(copy).to(device)


def require_faithful(traced: nn.Module, network: nn.Module, x: torch.Tensor) -> None:
    """Refuse a trace that is another function than its network, seen at some inputs (rows, ...).

    Folding moves answers by rounding alone; a branch on the type of the input, which a trace takes once, moves more.

    Raises:
        ConfigurationError: they answer differently.
    """
    found, expected = traced(x), network(x)
    scale = max(1.0, float(expected.nan_to_num(0.0, 0.0, 0.0).abs().max()))
    if not torch.allclose(found, expected, rtol=0.05, atol=0.05 * scale, equal_nan=True):
        raise ConfigurationError(
            "smoothing: as torch.fx traces it, the network answers otherwise; let its forward not branch on the type "
            "of its input"
        )


def _folded(network: nn.Module) -> nn.Module:
    """The same function with every batch norm that directly follows a convolution merged into it."""
    try:
        traced = fx.symbolic_trace(network)
    except _UNTRACEABLE:
        return network
    modules = dict(traced.named_modules())
    for node in list(traced.graph.nodes):
        if _foldable(node, modules):
            before = node.args[0]
            modules[before.target] = fuse_conv_bn_eval(modules[before.target], modules[node.target])
            traced.add_submodule(before.target, modules[before.target])
            node.replace_all_uses_with(before)
            traced.graph.erase_node(node)
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced


def _foldable(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    if not _calls(node, modules, _NORMS):
        return False
    before = node.args[0] if node.args else None
    if not isinstance(before, fx.Node) or not _calls(before, modules, _CONVOLUTIONS) or len(before.users) > 1:
        return False
    return sum(_reads(other, str(before.target)) for other in node.graph.nodes) == 1


def _reads(node: fx.Node, module: str) -> bool:
    """Whether a step calls a module, or takes a weight of it."""
    return node.op in ("call_module", "get_attr") and f"{node.target}.".startswith(f"{module}.")


def _calls(node: fx.Node, modules: dict[str, nn.Module], kinds: tuple[type[nn.Module], ...]) -> bool:
    """Whether a step calls a module of exactly these kinds: a hook or a parametrization is not folded with it."""
    if node.op != "call_module":
        return False
    module = modules[str(node.target)]
    return type(module) in kinds and not (module._forward_hooks or module._forward_pre_hooks)
