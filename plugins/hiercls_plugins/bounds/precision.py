"""The float32 arithmetic that certificates speak of: no TF32, no bfloat16, no Winograd, no FFT."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from hiercls.words.errors import HierclsError


class FullPrecision(nn.Module):
    """A network that computes every sum in float32, whatever the process has allowed."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with full_precision(x.device.type):
            return self.network(x)


@contextmanager
def full_precision(device: str) -> Iterator[None]:
    """Sums in the precision of their terms, in this context alone.

    cuDNN and NNPACK are off: they may choose a Winograd or FFT convolution, whose error is not that of a sum.
    """
    allowed = _allowed()
    torch.set_float32_matmul_precision("highest")
    try:
        cudnn, nnpack = (backend.flags(enabled=False) for backend in (torch.backends.cudnn, torch.backends.nnpack))
        with torch.autocast(device, enabled=False), cudnn, nnpack:
            yield
    finally:
        torch.set_float32_matmul_precision(allowed)


def _allowed() -> str:
    """What the process allows.

    Raises:
        HierclsError: it was set in a way that torch cannot tell.
    """
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError as error:  # what torch gives where its two ways to set it are mixed
        raise HierclsError(
            "bounds: torch cannot tell the precision of float32 products; set it by torch.set_float32_matmul_precision "
            f"alone, not by a backend's fp32_precision ({error})"
        ) from error
