"""Where data lies. No torch here: listing labels comes through this door."""

from collections.abc import Sequence
from pathlib import Path

from hiercls.words.errors import DataError


def find(name: str, places: Sequence[Path], root: Path | None, recipe: str) -> Path:
    """The first of several places that exists, absolute or under the data folder.

    Raises:
        DataError: none exists; names the places and what to do.
    """
    base = root or Path()
    searched = [(base / place).absolute() for place in places]
    for place in searched:
        if place.exists():
            return place
    unset = "" if root else "HIERCLS_DATA is not set; "
    listed = ", ".join(map(str, searched))
    raise DataError(f"dataset {name!r} is not there: {unset}searched {listed}; {recipe}")


def class_folders(place: Path) -> tuple[Path, ...]:
    """The folders of a folder, in sorted order.

    Raises:
        DataError: there is none.
    """
    try:
        found = tuple(sorted(entry for entry in place.iterdir() if entry.is_dir() and not entry.name.startswith(".")))
    except OSError as error:
        raise DataError(f"{place}: cannot be listed ({error.strerror})") from None
    if not found:
        raise DataError(f"{place}: holds no folder of a class")
    return found


def require_split(split: str) -> None:
    """Refuse any split but train and test.

    Raises:
        DataError: another name.
    """
    if split not in ("train", "test"):
        raise DataError(f"there is no split {split!r}; the splits are train and test")
