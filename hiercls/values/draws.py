"""Standard normal draws, each named by (seed, purpose, input, block).

The noise that an example sees depends on nothing else: not on the batch, the shard, the node, the
number of devices or where a run was interrupted. Nodes scale the same draws by their own sigma.
"""

from enum import Enum
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class Purpose(Enum):
    """What draws are for. Draws of different purposes are independent: no draw selects and estimates."""

    SELECT = 1
    ESTIMATE = 2
    PREDICT = 3
    ATTACK = 4
    AUDIT = 5
    TRAIN = 6


def generator_name(device: "torch.device") -> str:
    """The generator behind `standard_normal` on a device, as recorded with every proof."""
    return "numpy-sfc64-float64" if device.type == "cpu" else f"torch-{device.type}-float64"


def standard_normal(
    seed: int, purpose: Purpose, example: int, block: int, shape: tuple[int, ...], device: "torch.device"
) -> "torch.Tensor":
    """One block of independent N(0, 1) draws, float32.

    Drawn in float64 and cast: torch's float32 generator on a CPU is cut at 5.77 standard deviations.
    On a CPU the draws are numpy's ziggurat on SFC64, whose tail is not cut; on another device they are
    torch's float64 generator there, another stream that is recorded as such.

    Args:
        example: the example's place in its split.
        block: which block of the example's stream; blocks have one fixed shape in any one proof.
        shape: (draws, ...) of the block.
    """
    import numpy as np
    import torch

    key = np.random.SeedSequence(entropy=seed, spawn_key=(purpose.value, example, block))
    if device.type == "cpu":
        numbers = np.random.Generator(np.random.SFC64(key)).standard_normal(prod(shape))
        return torch.from_numpy(numbers.astype(np.float32)).reshape(shape)
    generator = torch.Generator(device).manual_seed(int(key.generate_state(1, np.uint64)[0] >> 1))
    return torch.randn(shape, generator=generator, device=device, dtype=torch.float64).float()
