"""Rows and files that survive a kill: appended and fsynced, or renamed into place."""

import hashlib
import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from hiercls.words.errors import DataError


def canonical(value: Any) -> str:
    """One JSON text for one value: sorted keys, no spaces, infinities as the strings `inf` and `-inf`."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a whole file or nothing: to a neighbour, fsync, rename.

    Raises:
        DataError: the folder cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    neighbour = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with neighbour.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        neighbour.replace(path)
    except OSError as error:
        with suppress(OSError):
            neighbour.unlink()
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error


def read_json(path: Path) -> Any:
    """A JSON file's value.

    Raises:
        DataError: it is missing, unreadable or no JSON.
    """
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{path}: is not JSON: {error}") from error


class Appender:
    """Appends JSON rows to one file: each is written whole, and fsynced within a second and at the end."""

    def __init__(self, path: Path):
        self.path = path
        self._synced = time.monotonic()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _drop_torn_row(path)
            self._file: IO[bytes] = path.open("ab", buffering=0)
        except OSError as error:
            raise DataError(f"{path}: cannot be written: {error.strerror}") from error

    def append(self, row: Any) -> None:
        try:
            rest = canonical(row).encode() + b"\n"
            while rest:
                rest = rest[self._file.write(rest) :]
            if time.monotonic() - self._synced > 1.0:
                self._sync()
        except OSError as error:
            raise DataError(f"{self.path}: cannot be written: {error.strerror}") from error

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def __enter__(self) -> "Appender":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._sync()
        except OSError as error:
            raise DataError(f"{self.path}: cannot be written: {error.strerror}") from error
        finally:
            self._file.close()


def _drop_torn_row(path: Path) -> None:
    """Cut a last row that a kill left without its end."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)


def read_rows(folder: Path, pattern: str = "part-*.jsonl") -> Iterator[Any]:
    """The rows of all parts of a folder; a torn last row of a part is passed over.

    Raises:
        DataError: a part cannot be read, or a row that is not the last one is no JSON.
    """
    for part in sorted(folder.glob(pattern)):
        try:
            lines = part.read_bytes().split(b"\n")
        except OSError as error:
            raise DataError(f"{part}: cannot be read: {error.strerror}") from error
        for number, line in enumerate(lines[:-1], start=1):
            try:
                yield json.loads(line)
            except ValueError:
                raise DataError(f"{part}:{number}: is not a row of JSON") from None
