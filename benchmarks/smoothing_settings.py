"""What the smoothing results are about: data sets, noise, and the figures that the paper prints."""

from dataclasses import dataclass
from pathlib import Path

SIGMAS = (0.25, 0.5, 1.0)
GRID = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
"""Radii at which certified accuracy is told."""

PUBLISHED_DRAWS, PUBLISHED_ALPHA = 100_000, 0.001


@dataclass(frozen=True)
class Setting:
    """A data set, and the branches of its tree that a classifier decides.

    Attributes:
        each: inputs of every such branch: the first ones in the order of certification.
    """

    name: str
    recipe: Path
    branches: tuple[str, ...]
    each: int = 200


@dataclass(frozen=True)
class Cell:
    """A published mean radius, its standard deviation, and certified accuracy in percent."""

    mean: float
    deviation: float
    accuracy: float


@dataclass(frozen=True)
class Published:
    """One row of the paper: the flat network's leaf radius and the hierarchy's, for each sigma."""

    leaves: str
    flat: tuple[Cell, Cell, Cell]
    hierarchy: tuple[Cell, Cell, Cell]


SETTINGS = (
    Setting("gtsrb", Path("configs/smoothing/gtsrb.yaml"), ("circles", "triangles")),
    Setting("cifar10-jpeg", Path("configs/smoothing/cifar10-jpeg.yaml"), ("living", "non-living")),
)

PUBLISHED = {
    ("gtsrb", "circles"): Published(
        "renormalised",
        (Cell(1.083, 0.579, 77.74), Cell(1.620, 0.986, 56.54), Cell(2.327, 1.454, 31.69)),
        (Cell(1.090, 0.575, 79.25), Cell(1.642, 1.009, 58.39), Cell(2.400, 1.560, 35.47)),
    ),
    ("gtsrb", "triangles"): Published(
        "renormalised",
        (Cell(1.107, 0.551, 71.60), Cell(1.641, 0.919, 50.67), Cell(2.223, 1.259, 20.41)),
        (Cell(1.127, 0.547, 76.45), Cell(1.659, 0.899, 58.94), Cell(2.233, 1.172, 32.78)),
    ),
    ("cifar10-jpeg", "non-living"): Published(
        "retrained",
        (Cell(0.6749, 0.2798, 88.15), Cell(0.9270, 0.5349, 79.58), Cell(1.2270, 0.7789, 65.23)),
        (Cell(0.7204, 0.2692, 90.70), Cell(1.0943, 0.5686, 85.85), Cell(1.5013, 0.9828, 74.74)),
    ),
    ("cifar10-jpeg", "living"): Published(
        "retrained",
        (Cell(0.5263, 0.2987, 75.93), Cell(0.7219, 0.5037, 61.82), Cell(0.9319, 0.7486, 42.68)),
        (Cell(0.5671, 0.2966, 80.80), Cell(0.7777, 0.5140, 67.05), Cell(1.0750, 0.8278, 53.80)),
    ),
}
"""Table II of the paper; its CIFAR-10 is the original one, ours the JPEG files."""
