"""Augmented images: flips, crops, and a refusal of what is no image."""

import pytest
import torch
from fitting_toys import examples
from torch import nn

from hiercls.contracts.augmentation import augmented
from hiercls.words.errors import ConfigurationError


def test_a_flip_turns_some_images_left_to_right():
    x, _ = examples(64)
    moved = augmented(x, ("flip",), torch.Generator().manual_seed(0))
    turned = [torch.equal(a, b.flip(2)) for a, b in zip(moved, x, strict=True)]
    kept = [torch.equal(a, b) for a, b in zip(moved, x, strict=True)]
    assert all(a != b for a, b in zip(turned, kept, strict=True))
    assert 16 < sum(turned) < 48


def test_a_crop_is_one_of_the_windows_of_the_bordered_image():
    x, _ = examples(200)
    moved = augmented(x, ("crop",), torch.Generator().manual_seed(0))
    bordered = nn.functional.pad(x, (4, 4, 4, 4))
    offsets = set()
    for one, wide in zip(moved, bordered, strict=True):
        windows = [(r, c) for r in range(9) for c in range(9) if torch.equal(one, wide[:, r : r + 4, c : c + 4])]
        assert windows
        offsets.add(windows[0])
    assert len(offsets) > 40


def test_augmentation_of_what_is_no_image_is_refused():
    with pytest.raises(ConfigurationError, match=r"flip needs \(channels, height, width\), found \(16,\)"):
        augmented(torch.rand(3, 16), ("flip",), torch.Generator())
