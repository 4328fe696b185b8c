"""Forward passes of a deployed network in one fixed shape."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch.nn.utils import convert_conv2d_weight_memory_format

from hiercls.contracts.frozen import frozen
from hiercls.words.errors import DeviceError
from hiercls_plugins.smoothing.compiling import compiled
from hiercls_plugins.smoothing.folding import deployed, require_faithful

if TYPE_CHECKING:
    from hiercls_plugins.smoothing.certifier import Smoothing


class Passes:
    """Runs a network, in smaller passes where its device has no room for the whole tile.

    Attributes:
        network: the deployed copy.
        untraced: the network as it was given, until the first pass is compared with it.
        compiled: the same function for counted passes, where it is asked for.
        parts: how many passes one tile takes; doubled when a device runs out of memory, and never halved again.
    """

    def __init__(self, network: torch.nn.Module, options: "Smoothing", device: torch.device):
        self.network = deployed(network, str(device))
        self.untraced = frozen(network, device) if isinstance(self.network, torch.fx.GraphModule) else None
        self.half = options.precision == "bf16"
        self.layout = torch.channels_last if options.lays_channels_last() else torch.contiguous_format
        if options.lays_channels_last():
            convert_conv2d_weight_memory_format(self.network, torch.channels_last)
        self.compiled = compiled(self.network) if options.compiled else None
        self.device = device
        self.parts = 1

    def through(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of all rows in one pass of any shape, with autocast where it is asked for; gradients flow."""
        return self._pass(self.network, x)

    def _pass(self, network: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        if x.ndim == 4:
            x = x.contiguous(memory_format=self.layout)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            return network(x)

    @torch.inference_mode()
    def logits(self, tile: torch.Tensor) -> torch.Tensor:
        """Logits of one tile (rows, ...). Its draws never change, whatever room there is.

        Raises:
            DeviceError: there is no room for a single row.
            ConfigurationError: the deployed copy is another function than the network.
        """
        self._compare(tile[:2])
        while True:
            try:
                return torch.cat(
                    [self._pass(self.compiled or self.network, x) for x in tile.split(self.rows(len(tile)))]
                )
            except torch.OutOfMemoryError as error:
                if self.rows(len(tile)) == 1:
                    raise DeviceError(f"smoothing: {self.device} has no room for one draw of one input") from error
                self.parts *= 2
                torch.cuda.empty_cache()

    def _compare(self, x: torch.Tensor) -> None:
        """Once: whether the traced network is the one that was given."""
        if self.untraced is not None and isinstance(self.network, torch.fx.GraphModule):
            require_faithful(self.network, self.untraced, x)
        self.untraced = None

    def rows(self, tile: int) -> int:
        """The rows of one pass."""
        return -(-tile // self.parts)
