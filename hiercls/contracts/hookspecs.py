"""The two hooks: the table of contents of the framework."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pluggy

from hiercls.words.packages import Package

NAMESPACE = "hiercls"
"""The entry-point group, and the project name of the hooks."""

hookspec = pluggy.HookspecMarker(NAMESPACE)
hookimpl = pluggy.HookimplMarker(NAMESPACE)


@dataclass(frozen=True)
class Spec:
    """Where a component is, without importing it.

    Attributes:
        kind: dataset, architecture, trainer, certifier, attack, tree-builder or metric.
        name: its name in a YAML.
        target: `package.module:Class`.
        summary: one line for `hiercls plugins`.
        packages: what it needs beside hiercls's own dependencies; `hiercls doctor` says whether each is there.
    """

    kind: str
    name: str
    target: str
    summary: str
    packages: tuple[Package, ...] = ()


@hookspec
def hiercls_components() -> Iterable[Spec]:
    """Name the components that a plugin brings."""
    raise AssertionError("a specification is never called")


@hookspec
def hiercls_commands(app: Any) -> None:
    """Add commands to the click group `app`."""
