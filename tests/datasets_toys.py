"""Random pictures, laid into the files of datasets."""

import gzip
from importlib.util import find_spec

import numpy as np
import pytest

WITH_PICTURES = pytest.mark.skipif(find_spec("PIL") is None, reason="pillow is not installed")
WITH_TABLES = pytest.mark.skipif(find_spec("pyarrow") is None, reason="pyarrow is not installed")
RANDOM = np.random.RandomState(0)


def picture(shape=(32, 32, 3)):
    return RANDOM.randint(0, 256, shape, dtype=np.uint8)


def idx(values):
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    return bytes((0, 0, 8, values.ndim)) + sizes + values.tobytes()


def lay_fashion(root, count=7, ending=""):
    images, truth = picture((count, 28, 28)), RANDOM.randint(0, 10, count).astype(np.uint8)
    folder = root / "FashionMNIST" / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    pack = gzip.compress if ending else bytes
    (folder / f"t10k-images-idx3-ubyte{ending}").write_bytes(pack(idx(images)))
    (folder / f"t10k-labels-idx1-ubyte{ending}").write_bytes(pack(idx(truth)))
    return images, truth


def save(path, pixels):
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
