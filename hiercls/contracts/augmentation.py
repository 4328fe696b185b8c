"""Augmentation of image batches, drawn from one generator a step."""

import torch

from hiercls.words.errors import ConfigurationError

SHIFT = 4
"""The largest shift of a crop, in pixels (the CIFAR convention)."""


def augmented(x: torch.Tensor, kinds: tuple[str, ...], generator: torch.Generator) -> torch.Tensor:
    """A batch with the named augmentations, each example drawn on its own.

    Args:
        x: (N, C, H, W).
        kinds: flip, crop, in the order in which they are applied.
        generator: a CPU generator.

    Raises:
        ConfigurationError: the inputs are not images.
    """
    if kinds and x.dim() != 4:
        raise ConfigurationError(f"augment: {kinds[0]} needs (channels, height, width), found {tuple(x.shape[1:])}")
    for kind in kinds:
        x = _flipped(x, generator) if kind == "flip" else _shifted(x, generator)
    return x


def _flipped(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    turned = torch.rand(len(x), generator=generator) < 0.5
    return torch.where(turned.to(x.device).view(-1, 1, 1, 1), x.flip(3), x)


def _shifted(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Crops of the original size from images with a border of zeros (He et al. 2016, section 4.2)."""
    count, channels, height, width = x.shape
    offsets = torch.randint(0, 2 * SHIFT + 1, (2, count), generator=generator).to(x.device)
    rows = offsets[0][:, None] + torch.arange(height, device=x.device)
    columns = offsets[1][:, None] + torch.arange(width, device=x.device)
    bordered = torch.nn.functional.pad(x, (SHIFT,) * 4)
    examples = torch.arange(count, device=x.device).view(-1, 1, 1, 1)
    planes = torch.arange(channels, device=x.device).view(1, -1, 1, 1)
    return bordered[examples, planes, rows[:, None, :, None], columns[:, None, None, :]]
