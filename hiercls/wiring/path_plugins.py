"""Plugins that a YAML names by path: a Python file, or a folder with an `__init__.py`."""

import hashlib
import sys
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

from hiercls.words.errors import DataError


def sha256_of(path: Path) -> str:
    """The hash of a file, or of the names and contents of all Python files of a folder.

    Raises:
        DataError: there is no such file or package, or it cannot be read.
    """
    content = hashlib.sha256()
    try:
        for file in _files(path):
            if path.is_dir():
                content.update(file.relative_to(path).as_posix().encode() + b"\0")
            content.update(file.read_bytes())
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from error
    return content.hexdigest()


def import_path(path: Path) -> ModuleType:
    """Run a plugin's code under a module name of its own, so that it hides no installed module.

    The name holds the hash of the content: the same content is run once, and a component's target is
    written `f"{__name__}:Class"`.
    """
    name = f"hiercls_path_{path.stem}_{sha256_of(path)[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    start = path / "__init__.py" if path.is_dir() else path
    loader = _FromSource(name, str(start)) if start.suffix == ".py" else None
    places = [str(path)] if path.is_dir() else None
    spec = spec_from_file_location(name, start, loader=loader, submodule_search_locations=places)
    if spec is None or spec.loader is None:
        raise DataError(f"{path}: is no Python file")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


class _FromSource(SourceFileLoader):
    """Compiles the source that was hashed; a `.pyc` beside it, which no hash covers, is not read."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir() and not (path / "__init__.py").is_file():
        raise DataError(f"{path}: is a folder without an __init__.py; name a Python file or a package")
    if not path.exists():
        raise DataError(f"{path}: no such file")
    yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]
