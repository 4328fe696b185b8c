"""scikit-learn's digits as examples."""

from dataclasses import replace

import numpy as np
import torch

from hiercls.contracts.components import Examples
from hiercls_plugins.datasets.search import require_split


def digits(split: str) -> Examples:
    """One split of the digits; `image` is (N, 1, 8, 8) in steps of 1/16."""
    from sklearn.datasets import load_digits

    require_split(split)
    found = load_digits()
    rows = _in_test(found.target) == (split == "test")
    images = torch.from_numpy(found.images[rows].astype(np.float32) / np.float32(16))
    return Examples({"image": images[:, None]}, torch.from_numpy(found.target[rows].astype(np.int64)))


def with_second_view(examples: Examples) -> Examples:
    """The made-up `lidar` view and `location` mask beside the digits; see `DigitsTwoViews`."""
    image = examples.views["image"]
    coarse = torch.nn.functional.avg_pool2d((image >= 0.5).float(), 2)
    same_side = (torch.arange(10)[None, :] - examples.truth[:, None]) % 2 == 0
    crossing = torch.from_numpy(np.random.RandomState(10).permutation(len(image)) % 4 == 0)
    return replace(
        examples, views={"image": image, "lidar": coarse}, allowed={"location": same_side | crossing[:, None]}
    )


def _in_test(truth: np.ndarray) -> np.ndarray:
    """(N,) bool: a shuffled fifth of every label. numpy promises RandomState's stream for ever."""
    chosen = np.zeros(len(truth), dtype=bool)
    for label in range(10):
        members = np.flatnonzero(truth == label)
        shuffled = np.random.RandomState(label).permutation(members)
        chosen[shuffled[: len(members) // 5]] = True
    return chosen
