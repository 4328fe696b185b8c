"""A network compiled for the one shape of its passes."""

from collections.abc import Callable

import torch

from hiercls.words.errors import DeviceError


def compiled(network: torch.nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """The same function through torch.compile; its first pass takes the seconds of a compilation.

    Raises:
        DeviceError: at that pass, where there is no compiler for the device.
    """
    from torch._dynamo.exc import BackendCompilerFailed

    fast = torch.compile(network, dynamic=False)

    def through(x: torch.Tensor) -> torch.Tensor:
        try:
            return fast(x)
        except BackendCompilerFailed as error:
            told = str(error).strip().splitlines()[0]
            raise DeviceError(
                f"smoothing.compiled: torch.compile failed ({told}); a CPU needs a C++ compiler, a GPU needs Triton; "
                "without `compiled: true` neither is needed"
            ) from error

    return through
