"""A network as it is deployed: a copy that stands still."""

from copy import deepcopy

import torch
from torch import nn

from hiercls.words.errors import HierclsError


def frozen(network: nn.Module, device: str | torch.device | None = None) -> nn.Module:
    """A copy in eval mode without gradients; the original stays as it is.

    Raises:
        HierclsError: the network, or what it keeps, has no faithful copy: it is compiled by torch.jit, or a tensor was
            computed with gradients; names it.
    """
    for path, layer in network.named_modules():
        if isinstance(layer, torch.jit.ScriptModule):
            raise HierclsError(f"{path or 'the network'} is compiled by torch.jit; deploy the module itself")
        for name, value in (*vars(layer).items(), *layer.named_buffers(recurse=False)):
            if isinstance(value, torch.Tensor) and not value.is_leaf:
                place = f"{path}.{name}" if path else name
                raise HierclsError(
                    f"the network keeps {place!r}, a tensor computed with gradients, and cannot be deployed; detach "
                    "it, or remove the parametrization that computes it"
                )
    return deepcopy(network).eval().requires_grad_(False).to(device)
