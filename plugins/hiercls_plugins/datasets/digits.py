"""The data that ships with a dependency: what demonstrations and tests run on."""

from collections.abc import Mapping
from pathlib import Path

from hiercls.contracts.components import Dataset, Examples

_LABELS = tuple(str(digit) for digit in range(10))


class Digits(Dataset):
    """scikit-learn's 1,797 handwritten digits, 8x8 grey in steps of 1/16.

    The official test half of the UCI Optdigits set, divided here by a fixed rule: a shuffled fifth of every
    label is the test split.
    """

    def labels(self, root: Path | None) -> tuple[str, ...]:
        return _LABELS

    def views(self) -> Mapping[str, tuple[int, ...]]:
        return {"image": (1, 8, 8)}

    def load(self, split: str, root: Path | None) -> Examples:
        from hiercls_plugins.datasets.read_digits import digits

        return digits(split)


class DigitsTwoViews(Dataset):
    """Digits with a second view and a trusted mask, both made up: for demonstrations and tests, not for claims.

    Views: `image` is the digit; `lidar` stands for another sensor's coarse shape and is the share of inked
    pixels in each 2x2 square of the same digit, (1, 4, 4). Mask: `location` stands for the side of a street
    on which even or odd numbers are found; three examples in four lie on the side of their true digit and
    allow its parity alone, the others lie at a crossing and allow every label.
    """

    def labels(self, root: Path | None) -> tuple[str, ...]:
        return _LABELS

    def views(self) -> Mapping[str, tuple[int, ...]]:
        return {"image": (1, 8, 8), "lidar": (1, 4, 4)}

    def masks(self) -> tuple[str, ...]:
        return ("location",)

    def load(self, split: str, root: Path | None) -> Examples:
        from hiercls_plugins.datasets.read_digits import digits, with_second_view

        return with_second_view(digits(split))
