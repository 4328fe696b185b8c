"""Published datasets, read from files that lie under the data folder."""

from collections.abc import Mapping
from pathlib import Path

from hiercls.contracts.components import Dataset, Examples
from hiercls_plugins.datasets.names import CIFAR10, FASHION_MNIST, GTSRB


class FashionMnist(Dataset):
    """Fashion-MNIST: 60,000 and 10,000 pictures of ten kinds of clothing, 28x28 grey (Xiao et al. 2017)."""

    def labels(self, root: Path | None) -> tuple[str, ...]:
        return FASHION_MNIST

    def views(self) -> Mapping[str, tuple[int, ...]]:
        return {"image": (1, 28, 28)}

    def load(self, split: str, root: Path | None) -> Examples:
        from hiercls_plugins.datasets.read_binary import fashion_mnist

        return fashion_mnist(split, root)


class Cifar10(Dataset):
    """CIFAR-10: 50,000 and 10,000 pictures of ten kinds of things, 32x32 colour (Krizhevsky 2009).

    Read from the official binary version; the Python version is a pickle and is never read.
    """

    def labels(self, root: Path | None) -> tuple[str, ...]:
        return CIFAR10

    def views(self) -> Mapping[str, tuple[int, ...]]:
        return {"image": (3, 32, 32)}

    def load(self, split: str, root: Path | None) -> Examples:
        from hiercls_plugins.datasets.read_binary import cifar10

        return cifar10(split, root)


class Cifar10Jpeg(Dataset):
    """CIFAR-10 re-encoded as JPEG: lossy, so that results on it are not results on CIFAR-10."""

    def labels(self, root: Path | None) -> tuple[str, ...]:
        return CIFAR10

    def views(self) -> Mapping[str, tuple[int, ...]]:
        return {"image": (3, 32, 32)}

    def load(self, split: str, root: Path | None) -> Examples:
        from hiercls_plugins.datasets.read_pictures import cifar10_jpeg

        return cifar10_jpeg(split, root)


class Gtsrb(Dataset):
    """German traffic signs, 43 classes, 32x32 colour (Stallkamp et al. 2012).

    Pictures of another size are resized to 32x32 (bilinear, whole frame). Training pictures of one drive past
    one sign are a track, and stay together when examples are held out.
    """

    def labels(self, root: Path | None) -> tuple[str, ...]:
        return GTSRB

    def views(self) -> Mapping[str, tuple[int, ...]]:
        return {"image": (3, 32, 32)}

    def load(self, split: str, root: Path | None) -> Examples:
        from hiercls_plugins.datasets.read_pictures import gtsrb

        return gtsrb(split, root)
