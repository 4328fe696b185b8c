"""What is deployed: the operations that were bounded, and nothing that their list does not show."""

from copy import deepcopy
from functools import partial

import torch
from torch import fx, nn

from hiercls.words.errors import HierclsError
from hiercls_plugins.bounds.tracing import evaluate, plain, result


class Traced(nn.Module):
    """A network that runs its own list of operations.

    A `forward` may do otherwise on another type, in another pass or beside torch.fx; what bounds hold for is this list.
    """

    def __init__(self, network: nn.Module, graph: fx.Graph):
        super().__init__()
        self.network = network
        self.graph = graph

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values = evaluate(self.network, self.graph, x, partial(plain, self.network))
        found = values[result(self.graph)]
        if not isinstance(found, torch.Tensor) or found.dim() != 2:
            raise HierclsError("bounds: a network must return one row of outputs an input")
        return found


def require_float32(network: nn.Module) -> None:
    """Refuse a network that does not run in float32.

    Raises:
        HierclsError: names the tensor.
    """
    for name, tensor in _numbers(network).items():
        if tensor.dtype != torch.float32:
            raise HierclsError(f"bounds: {name} is {str(tensor.dtype)[6:]}; networks are deployed in float32")


def in_float32(network: nn.Module, graph: fx.Graph) -> Traced:
    """The float32 network of a traced float64 one, number by number.

    Raises:
        HierclsError: tracing moved a number to one that float32 does not hold.
    """
    exact, twin = _numbers(network), deepcopy(network).float()
    for name, tensor in _numbers(twin).items():
        if not torch.equal(tensor.double().nan_to_num(), exact[name].nan_to_num()):
            raise HierclsError(f"bounds: the network moves {name} while it is traced, to what float32 does not hold")
    return Traced(twin, graph)


def _numbers(network: nn.Module) -> dict[str, torch.Tensor]:
    """All floating parameters and buffers, kept in a state or not."""
    named = (*network.named_parameters(remove_duplicate=False), *network.named_buffers(remove_duplicate=False))
    return {name: tensor.detach() for name, tensor in named if tensor.is_floating_point()}
