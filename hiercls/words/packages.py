"""Packages that a component may need and hiercls does not depend on."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from hiercls.words.errors import PluginError


@dataclass(frozen=True)
class Package:
    """A package that is looked for when it is needed.

    Attributes:
        module: the name under which it is imported.
        install: the command that installs it.
    """

    module: str
    install: str

    def load(self) -> ModuleType:
        """The imported package; the process's warning filters and log handlers stay as they are.

        Raises:
            PluginError: it is not there, or does not import; says how to install it.
        """
        try:
            with _unchanged():
                return import_module(self.module)
        except (ImportError, AttributeError, RuntimeError) as error:
            missing = isinstance(error, ModuleNotFoundError) and error.name == self.module
            found = "is not installed" if missing else f"does not import ({error})"
            raise PluginError(f"{self.module} {found}; install it with: {self.install}") from error


@contextmanager
def _unchanged() -> Iterator[None]:
    """Take back what an import does to settings that belong to the process; what it warns of is not shown."""
    handlers, level = list(logging.root.handlers), logging.root.level
    try:
        with warnings.catch_warnings(record=True):
            yield
    finally:
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
