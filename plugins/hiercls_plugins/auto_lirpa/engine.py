"""Lower bounds of rows of a network's outputs, by auto_LiRPA."""

from copy import deepcopy
from typing import Any

import torch
from torch import nn

from hiercls.words.errors import HierclsError
from hiercls_plugins.auto_lirpa.foreign import at_work
from hiercls_plugins.auto_lirpa.package import AUTO_LIRPA
from hiercls_plugins.bounds.boxes import Box

METHODS = {"ibp": "IBP", "crown-ibp": "CROWN-IBP", "crown": "CROWN", "alpha-crown": "alpha-CROWN"}

SPECIFIED = 128
"""Neurons of an inner layer that are bounded backwards at once: it bounds the memory that CROWN takes."""

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


class Engine:
    """A float64 copy of a network, wrapped once for every shape of a batch.

    A row's bounds depend on its own box: what auto_LiRPA leaves out or stops for a whole batch at a time is off.

    Args:
        network: in eval mode; it stays as it is.
        bound: a key of METHODS.
        iterations: of alpha-crown.
        convolutions: how linear bounds go through them, as a `matrix` or as `patches`; the bounds are the same.

    Raises:
        HierclsError: the network is in train mode.
    """

    def __init__(self, network: nn.Module, bound: str, iterations: int, convolutions: str = "matrix"):
        if any(layer.training for layer in network.modules()):
            raise HierclsError("auto-lirpa: a network in train mode depends on its batch and cannot be certified")
        self.network = _without_dropout(deepcopy(network)).requires_grad_(False).double()
        self.bound = bound
        self.options = _options(iterations, convolutions)
        self._wrapped: dict[torch.Size, Any] = {}

    @torch.no_grad()
    def outputs(self, x: torch.Tensor) -> torch.Tensor:
        """The real-valued network, up to float64, (N, K)."""
        return self.network(x.double())

    def lowest(self, box: Box, rows: torch.Tensor) -> torch.Tensor:
        """Lower bounds of linear functions of the outputs over boxes.

        Args:
            box: (N, ...) float64.
            rows: (N, R, K) float64, each a function of its input's outputs.

        Returns:
            (N, R), the better of interval bounds and of those asked for; NaN where one of them is.

        Raises:
            HierclsError: the network has an operation that auto_LiRPA cannot bound, or not soundly.
        """
        lowest = self._lowest(box, rows, "ibp")
        return lowest if self.bound == "ibp" else torch.maximum(lowest, self._lowest(box, rows, self.bound))

    def _lowest(self, box: Box, rows: torch.Tensor, bound: str) -> torch.Tensor:
        lirpa, device = AUTO_LIRPA.load(), box.centre.device
        lower = torch.nextafter(box.lower, torch.full_like(box.centre, -torch.inf))
        upper = torch.nextafter(box.upper, torch.full_like(box.centre, torch.inf))
        with at_work(device.type, self._task(bound)), torch.set_grad_enabled(bound == "alpha-crown"):
            wrapped = self._wrap(lirpa, box.centre)
            around = lirpa.PerturbationLpNorm(norm=float("inf"), x_L=lower, x_U=upper)
            inputs = (lirpa.BoundedTensor(box.centre, around),)
            found, _ = wrapped.compute_bounds(x=inputs, C=rows, method=METHODS[bound], bound_upper=False)
            return found.detach()

    def _wrap(self, lirpa: Any, x: torch.Tensor) -> Any:
        if x.shape not in self._wrapped:
            device = str(x.device)  # it compares the device with "cpu"
            wrapped = lirpa.BoundedModule(self.network, torch.zeros_like(x), bound_opts=self.options, device=device)
            _refuse_unsound(wrapped)
            self._wrapped[x.shape] = wrapped
        return self._wrapped[x.shape]

    def _task(self, bound: str) -> str:
        how = "" if bound == "ibp" else f" with convolutions as {self.options['conv_mode']}"
        return f"{type(self.network).__name__} cannot be bounded by {bound}{how}"


def _options(iterations: int, convolutions: str) -> dict[str, Any]:
    return {
        "param": {"auto_requires_grad": False},
        "conv_mode": convolutions,
        "crown_batch_size": SPECIFIED,
        "batched_crown_max_vram_ratio": 0,  # never more of them
        "sparse_intermediate_bounds": False,
        "sparse_conv_intermediate_bounds": False,
        "sparse_features_alpha": False,
        "sparse_spec_alpha": False,
        "disable_optimization": ["maxpool"],  # its slopes are float32 and break in float64
        "optimize_bound_args": {"iteration": iterations, "early_stop_patience": iterations + 1},
    }


def _refuse_unsound(wrapped: Any) -> None:
    """Operations whose linear bounds in auto_LiRPA do not hold: they cross the function, or read another window."""
    for node in wrapped.nodes():
        kind = type(node).__name__
        if kind == "BoundLeakyRelu" and not 0 <= node.leaky_alpha <= 1:
            raise HierclsError(f"auto-lirpa: a leaky ReLU of slope {node.leaky_alpha:g} is bounded only in [0, 1]")
        if kind == "BoundMaxPool" and any(node.padding):
            raise HierclsError("auto-lirpa: a max pool with padding cannot be bounded")


def _without_dropout(network: nn.Module) -> nn.Module:
    """In eval mode a dropout is the identity; auto_LiRPA would trace it in train mode."""
    if type(network) in DROPOUTS:
        return nn.Identity().eval()
    for name, layer in network.named_children():
        setattr(network, name, _without_dropout(layer))
    return network
