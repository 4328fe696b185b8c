"""Residual networks for small images (He et al. 2016, section 4.2)."""

import torch
from torch import nn

from hiercls.words.errors import ConfigurationError
from hiercls_plugins.architectures.components import Normalize
from hiercls_plugins.architectures.plain import normalization, require_image


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut, projected where the shape changes."""

    def __init__(self, channels: int, maps: int, stride: int):
        super().__init__()
        self.first = nn.Sequential(_convolution(channels, maps, 3, stride), nn.BatchNorm2d(maps), nn.ReLU())
        self.second = nn.Sequential(_convolution(maps, maps, 3, 1), nn.BatchNorm2d(maps))
        changes = channels != maps or stride != 1
        projection = (_convolution(channels, maps, 1, stride), nn.BatchNorm2d(maps)) if changes else ()
        self.shortcut = nn.Sequential(*projection) if changes else nn.Identity()
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.second(self.first(x)) + self.shortcut(x))


def resnet(shape: tuple[int, ...], outputs: int, blocks: int, width: int, normalize: Normalize | None) -> nn.Sequential:
    """Three stages of `blocks` blocks; 6 blocks + 2 layers.

    Raises:
        ConfigurationError: the view is no image, or its sides are no multiples of 4.
    """
    channels, height, across = require_image(shape)
    if height % 4 or across % 4:
        raise ConfigurationError(f"architecture: a resnet needs sides that 4 divides, found {height}x{across}")
    layers = [*normalization(shape, normalize), _convolution(channels, width, 3, 1), nn.BatchNorm2d(width), nn.ReLU()]
    channels = width
    for stage in range(3):
        for place in range(blocks):
            layers.append(Block(channels, width * 2**stage, 2 if stage and not place else 1))
            channels = width * 2**stage
    pool = nn.AvgPool2d((height // 4, across // 4))
    return nn.Sequential(*layers, pool, nn.Flatten(), nn.Linear(channels, outputs))


def _convolution(channels: int, maps: int, kernel: int, stride: int) -> nn.Conv2d:
    layer = nn.Conv2d(channels, maps, kernel, stride, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer
