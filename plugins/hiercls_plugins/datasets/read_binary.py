"""Datasets in flat binary files: IDX, and the binary version of CIFAR-10."""

import gzip
import zlib
from math import prod
from pathlib import Path

import numpy as np
import torch

from hiercls.contracts.components import Examples
from hiercls.words.errors import DataError
from hiercls_plugins.datasets.search import find, require_split

_FASHION = "set HIERCLS_DATA to a folder that holds FashionMNIST/raw/train-images-idx3-ubyte and its three companions"
_CIFAR = "set HIERCLS_DATA to a folder that holds cifar-10-batches-bin, the unpacked cifar-10-binary.tar.gz"
_RECORD = 1 + 3 * 32 * 32


def fashion_mnist(split: str, root: Path | None) -> Examples:
    """One split; `image` is (N, 1, 28, 28)."""
    require_split(split)
    part = "train" if split == "train" else "t10k"
    images = _idx(_fashion_file(f"{part}-images-idx3-ubyte", root), 3)
    truth = _idx(_fashion_file(f"{part}-labels-idx1-ubyte", root), 1)
    if len(images) != len(truth) or images.shape[1:] != (28, 28) or truth.max(initial=0) > 9:
        raise DataError(f"fashion-mnist: {images.shape} pictures and {len(truth)} labels are not the {split} split")
    return as_examples(images[:, None], truth)


def cifar10(split: str, root: Path | None) -> Examples:
    """One split; `image` is (N, 3, 32, 32)."""
    require_split(split)
    folder = find("cifar10", [Path("cifar-10-batches-bin"), Path("cifar10/cifar-10-batches-bin")], root, _CIFAR)
    names = [f"data_batch_{k}.bin" for k in range(1, 6)] if split == "train" else ["test_batch.bin"]
    records = np.concatenate([_records(folder / name) for name in names])
    return as_examples(records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0])


def as_examples(pictures: np.ndarray, truth: np.ndarray, tracks: np.ndarray | None = None) -> Examples:
    """Examples of one `image` view from pictures in 0 to 255: the float32 numbers k/255."""
    image = torch.from_numpy(np.ascontiguousarray(pictures, np.float32)).div_(255)
    kept = None if tracks is None else torch.from_numpy(tracks.astype(np.int64))
    return Examples({"image": image}, torch.from_numpy(truth.astype(np.int64)), tracks=kept)


def _fashion_file(name: str, root: Path | None) -> Path:
    folders = ("FashionMNIST/raw", "fashion-mnist")
    places = [Path(folder) / f"{name}{ending}" for folder in folders for ending in ("", ".gz")]
    return find("fashion-mnist", places, root, _FASHION)


def _idx(path: Path, dimensions: int) -> np.ndarray:
    """An IDX file of unsigned bytes: two zeros, 8, the number of dimensions, big-endian sizes, values."""
    content = _bytes(path)
    header = 4 * (1 + dimensions)
    sizes = np.frombuffer(content[4:header], ">u4").astype(int) if len(content) >= header else np.zeros(0)
    if content[:4] != bytes((0, 0, 8, dimensions)) or len(content) != header + prod(sizes):
        raise DataError(f"{path}: not an IDX file of bytes in {dimensions} dimensions, or cut short")
    return np.frombuffer(content, np.uint8, offset=header).reshape(sizes)


def _records(path: Path) -> np.ndarray:
    """CIFAR-10 records: a label and the red, green and blue planes."""
    content = _bytes(path)
    records = np.frombuffer(content, np.uint8)
    if not len(content) or len(content) % _RECORD or records[::_RECORD].max() > 9:
        raise DataError(f"{path}: not records of {_RECORD} bytes with labels 0 to 9, or cut short")
    return records.reshape(-1, _RECORD)


def _bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
