"""Datasets in picture files."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hiercls.contracts.components import Examples
from hiercls.words.errors import DataError, PluginError
from hiercls_plugins.datasets.names import CIFAR10, GTSRB
from hiercls_plugins.datasets.read_binary import as_examples
from hiercls_plugins.datasets.search import class_folders, find, require_split

_ENDINGS = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
_GTSRB = (
    "set HIERCLS_DATA to a folder that holds gtsrb/GTSRB/Training/000NN/*.ppm, "
    "gtsrb/GTSRB/Final_Test/Images/*.ppm and gtsrb/GT-final_test.csv"
)
_JPEG = (
    "set HIERCLS_DATA to a folder that holds cifar10-jpeg/train/<class>/*.jpg and cifar10-jpeg/test/<class>/*.jpg, "
    "or cifar10-jpeg/cifar10-jpeg-train.parquet and cifar10-jpeg/cifar10-jpeg-test.parquet"
)


def in_class_folders(place: Path, labels: Sequence[str], size: int, grey: bool = False) -> Examples:
    """The pictures of `place`/<class>/, classes in the order of `labels`, files in sorted order.

    Raises:
        DataError: a folder is no label, or a file no picture.
    """
    require_split(place.name)
    names = {folder.name: folder for folder in class_folders(place)}
    strange = sorted(set(names) - set(labels))
    if strange:
        raise DataError(f"{place / strange[0]}: is no class of the training split")
    files = [(file, k) for k, label in enumerate(labels) if label in names for file in _pictures_in(names[label])]
    if not files:
        raise DataError(f"{place}: holds no picture")
    return as_examples(_planes((file for file, _ in files), size, grey), np.array([k for _, k in files]))


def cifar10_jpeg(split: str, root: Path | None) -> Examples:
    """One split; `image` is (N, 3, 32, 32)."""
    require_split(split)
    table = f"cifar10-jpeg-{split}.parquet"
    places = [Path("cifar10-jpeg") / split, Path("cifar10-jpeg") / table, Path(table)]
    found = find("cifar10-jpeg", places, root, _JPEG)
    if found.suffix != ".parquet":
        return in_class_folders(found, CIFAR10, 32)
    images, truth = _table(found)
    return as_examples(_planes(images, 32, False, str(found)), truth)


def gtsrb(split: str, root: Path | None) -> Examples:
    """One split; `image` is (N, 3, 32, 32), the training split has tracks."""
    require_split(split)
    folder = find("gtsrb", [Path("gtsrb")], root, _GTSRB)
    files = _gtsrb_training(folder) if split == "train" else _gtsrb_test(folder)
    truth = np.array([label for _, label, _ in files])
    tracks = np.array([track for _, _, track in files]) if split == "train" else None
    return as_examples(_planes((file for file, _, _ in files), 32, False), truth, tracks)


def _gtsrb_training(folder: Path) -> list[tuple[Path, int, int]]:
    """Files, labels and tracks. A file is named TRACK_FRAME; tracks are counted anew in every class."""
    place = find("gtsrb", [Path("GTSRB/Training")], folder, _GTSRB)
    found = []
    for member in class_folders(place):
        label = _label(member.name, member)
        for file in _pictures_in(member):
            track = re.fullmatch(r"(\d+)_\d+", file.stem)
            if track is None:
                raise DataError(f"{file}: training pictures are named TRACK_FRAME, as 00003_00029.ppm")
            found.append((file, label, label * 100_000 + int(track[1])))
    return found


def _gtsrb_test(folder: Path) -> list[tuple[Path, int, int]]:
    place = find("gtsrb", [Path("GT-final_test.csv")], folder, _GTSRB)
    try:
        rows = list(csv.DictReader(place.read_text().splitlines(), delimiter=";"))
        images = folder / "GTSRB" / "Final_Test" / "Images"
        return [(images / row["Filename"], _label(row["ClassId"], place), 0) for row in rows]
    except (OSError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise DataError(f"{place}: not the table of test labels (Filename; ...; ClassId): {error}") from None


def _label(text: str, where: Path) -> int:
    if not text.isdecimal() or int(text) >= len(GTSRB):
        raise DataError(f"{where}: found class {text!r}; classes are numbered 0 to {len(GTSRB) - 1}")
    return int(text)


def _pictures_in(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in _ENDINGS)


def _table(path: Path) -> tuple[list[bytes], np.ndarray]:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise PluginError("pyarrow is needed to read parquet; install hiercls with its extra [vision]") from None
    try:
        table = parquet.read_table(path, columns=["image", "label"])
    except (OSError, arrow.ArrowException) as error:
        raise DataError(f"{path}: not a parquet table of image and label ({error})") from None
    truth = table["label"].to_numpy()
    if len(truth) == 0 or truth.min() < 0 or truth.max() >= len(CIFAR10):
        raise DataError(f"{path}: labels are not 0 to {len(CIFAR10) - 1}")
    return table["image"].to_pylist(), truth


def _planes(pictures: Iterable[Path | bytes], size: int, grey: bool, table: str = "") -> np.ndarray:
    """(N, channels, size, size) uint8 of picture files, or of the pictures in a table."""
    image = _pillow()
    planes = []
    for number, picture in enumerate(pictures):
        where = picture if isinstance(picture, Path) else f"{table}: picture {number}"
        try:
            with image.open(picture if isinstance(picture, Path) else io.BytesIO(picture)) as opened:
                pixels = opened.convert("L" if grey else "RGB")
        except (OSError, SyntaxError, ValueError) as error:
            raise DataError(f"{where}: not a readable picture ({error})") from None
        if pixels.size != (size, size):
            pixels = pixels.resize((size, size), image.Resampling.BILINEAR)
        planes.append(np.asarray(pixels).reshape(size, size, -1).transpose(2, 0, 1))
    if not planes:
        raise DataError(f"{table or 'dataset'}: holds no picture")
    return np.stack(planes)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise PluginError("pillow is needed to read pictures; install hiercls with its extra [vision]") from None
    return Image
