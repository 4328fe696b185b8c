"""Feed-forward networks of plain layers, which torch.fx traces."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from hiercls.words.errors import ConfigurationError
from hiercls_plugins.architectures.components import Normalize


class Convolution(NamedTuple):
    maps: int
    kernel: int
    stride: int


SEVEN = (
    Convolution(64, 3, 1),
    Convolution(64, 3, 1),
    Convolution(128, 3, 2),
    Convolution(128, 3, 1),
    Convolution(128, 3, 1),
)


class Normalization(nn.Module):
    """(x - mean) / std for each channel, as buffers."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, mean: torch.Tensor, std: torch.Tensor):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - self.mean) / self.std


def normalization(shape: tuple[int, ...], options: Normalize | None) -> list[nn.Module]:
    """The first layer, if one is asked for.

    Raises:
        ConfigurationError: there is neither one value nor one a channel.
    """
    if options is None:
        return []
    for name, values in (("mean", options.mean), ("std", options.std)):
        if len(values) not in (1, shape[0]):
            raise ConfigurationError(f"normalize.{name}: found {len(values)} values for {shape[0]} channels")
    mean, std = (torch.tensor(values).view(1, -1, *[1] * (len(shape) - 1)) for values in (options.mean, options.std))
    return [Normalization(mean, std)]


def dense(shape: tuple[int, ...], outputs: int, hidden: Sequence[int], normalize: Normalize | None) -> nn.Sequential:
    """Dense layers with ReLU between them."""
    layers = [*normalization(shape, normalize), nn.Flatten()]
    entries = torch.Size(shape).numel()
    for width in hidden:
        layers += [nn.Linear(entries, width), nn.ReLU()]
        entries = width
    return nn.Sequential(*layers, nn.Linear(entries, outputs))


def convolutional(
    shape: tuple[int, ...],
    outputs: int,
    convolutions: Sequence[Convolution],
    width: int,
    batch_norm: bool,
    normalize: Normalize | None,
) -> nn.Sequential:
    """Convolutions with padding 1, one hidden dense layer, batch norm before every ReLU if asked for.

    Raises:
        ConfigurationError: the view is no image, or too small.
    """
    channels, height, across = require_image(shape)
    layers = normalization(shape, normalize)
    for maps, kernel, stride in convolutions:
        layers += [nn.Conv2d(channels, maps, kernel, stride, padding=1), *_norm(nn.BatchNorm2d, maps, batch_norm)]
        layers += [nn.ReLU()]
        channels, height, across = maps, _after(height, kernel, stride), _after(across, kernel, stride)
    if min(height, across) < 1:
        raise ConfigurationError(f"architecture: images of {shape[1]}x{shape[2]} are too small for its convolutions")
    layers += [nn.Flatten(), nn.Linear(channels * height * across, width)]
    layers += [*_norm(nn.BatchNorm1d, width, batch_norm), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, outputs))


def require_image(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Channels, height and width of an image view.

    Raises:
        ConfigurationError: the view is no image.
    """
    if len(shape) != 3:
        raise ConfigurationError(f"architecture: it needs a view of (channels, height, width), found {shape}")
    return shape


def _after(size: int, kernel: int, stride: int) -> int:
    return (size + 2 - kernel) // stride + 1


def _norm(kind: type[nn.Module], features: int, asked: bool) -> list[nn.Module]:
    return [kind(features)] if asked else []
