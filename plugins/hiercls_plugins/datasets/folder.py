"""A user's own pictures."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from hiercls.contracts.components import Dataset, Examples
from hiercls_plugins.datasets.search import class_folders, find


class ImageFolder(Dataset):
    """Pictures in `train/<class>/` and `test/<class>/`; the folders' names are the labels, in sorted order.

    Attributes:
        folder: the folder that holds `train` and `test`, as a path or a name under the data folder.
        size: every picture is resized to size x size (bilinear).
        grey: one channel instead of three.
    """

    folder: str
    size: int = Field(default=32, gt=0)
    grey: bool = False

    def labels(self, root: Path | None) -> tuple[str, ...]:
        return tuple(place.name for place in class_folders(self._place(root) / "train"))

    def views(self) -> Mapping[str, tuple[int, ...]]:
        return {"image": (1 if self.grey else 3, self.size, self.size)}

    def load(self, split: str, root: Path | None) -> Examples:
        from hiercls_plugins.datasets.read_pictures import in_class_folders

        return in_class_folders(self._place(root) / split, self.labels(root), self.size, self.grey)

    def _place(self, root: Path | None) -> Path:
        return find(
            "image-folder", [Path(self.folder)], root, "lay out train/<class>/*.png and test/<class>/*.png in it"
        )
