"""`hiercls doctor`."""

import os
import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import click

import hiercls
from hiercls.cli.common import console, data_root, json_option, show_json
from hiercls.words.errors import HierclsError

if TYPE_CHECKING:
    from hiercls.wiring.registry import Registry
    from hiercls.words.packages import Package

_PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "pydantic", "ruamel.yaml", "pluggy")


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Tell what this machine has: versions, threads, devices, data sets."""
    found = diagnosis()
    if as_json:
        show_json(found)
        return
    page = console()
    for section, facts in found.items():
        page.print(section, style="bold")
        for name, fact in facts.items():
            page.print(_line(name, fact), soft_wrap=True)


def _line(name: str, fact: str) -> str:
    """A fact beside its name; of a missing data set only where it was searched, below its name."""
    _, missing, rest = fact.partition(" is not there: ")
    _, searched, places = rest.partition("searched ")
    if missing and searched:
        return f"  {name}\n      not found; searched {places.partition('; ')[0]}"
    return f"  {name:<18} {fact}"


def diagnosis() -> dict[str, dict[str, str]]:
    """What was found, by section and name."""
    from hiercls.wiring.registry import Registry

    registry = Registry.load()
    return {
        "versions": {"hiercls": hiercls.__version__, "python": platform.python_version(), **_versions()},
        "machine": dict(_machine()),
        "optional": {"torchvision": _torchvision(), **_packages(registry)},
        "plugins": {broken.name: str(broken) for broken in registry.broken} or {"broken": "none"},
        "data": dict(_data(registry)),
    }


def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in _PACKAGES}


def _machine() -> Iterator[tuple[str, str]]:
    import torch

    yield "cores", str(os.cpu_count())
    yield "torch threads", str(torch.get_num_threads())
    yield "devices", ", ".join(["cpu", *_cuda(torch.cuda.device_count())])


def _cuda(count: int) -> list[str]:
    import torch

    return [f"cuda:{k} ({torch.cuda.get_device_name(k)})" for k in range(count)]


def _torchvision() -> str:
    from hiercls.words.torchvision_door import torchvision

    try:
        return str(torchvision().__version__)
    except HierclsError as error:
        return str(error)


def _packages(registry: "Registry") -> dict[str, str]:
    """What components need beside hiercls's own dependencies: its version, or how to install it."""
    needed = dict.fromkeys(package for spec in registry.specs() for package in spec.packages)
    return {package.module: _version(package) for package in needed}


def _version(package: "Package") -> str:
    try:
        return str(getattr(package.load(), "__version__", "found"))
    except HierclsError as error:
        return str(error)


def _data(registry: "Registry") -> Iterator[tuple[str, str]]:
    root = data_root()
    yield "HIERCLS_DATA", "not set" if root is None else f"{root}{'' if root.is_dir() else ', which is no folder'}"
    for spec in registry.specs("dataset"):
        yield spec.name, _found(registry, spec.name, root)


def _found(registry: "Registry", name: str, root: Path | None) -> str:
    """Whether the test split of a set can be read with default options."""
    try:
        dataset = registry.get("dataset", name)
        required = [option for option, field in dataset.model_fields.items() if field.is_required()]
        if required:
            return f"needs {', '.join(required)}"
        return f"found, {len(dataset().load('test', root).truth):,} test inputs"  # type: ignore[attr-defined]
    except HierclsError as error:
        return str(error)
