"""The directory of everything that one YAML produced."""

import json
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

import hiercls
from hiercls.contracts.context import Context, Progress, silent
from hiercls.values.drawing import as_json, from_json
from hiercls.values.labels import LabelTree
from hiercls.values.records import Appender, digest, write_atomic
from hiercls.whole.data import Data
from hiercls.whole.devices import require_device
from hiercls.whole.networks import Networks
from hiercls.whole.plan import Plan, identity, plan
from hiercls.wiring.recipe import RESOLVED, Recipe, load_recipe
from hiercls.wiring.registry import Registry
from hiercls.words.errors import ConfigurationError, DataError


@dataclass(frozen=True, eq=False)
class Run:
    """One recipe and its folder. Opening a run writes nothing; the first piece of work does.

    Attributes:
        changed: the keys of the recipe that differ from those the folder was last used with.
        device: where networks are trained, deployed and attacked.
    """

    folder: Path
    recipe: Recipe
    data: Data
    changed: tuple[str, ...] = ()
    device: str = "cpu"

    @property
    def tree(self) -> LabelTree:
        """The label tree.

        Raises:
            ConfigurationError: it is derived from networks that are not trained yet.
        """
        found = self.known_tree()
        if found is None:
            raise ConfigurationError("tree: it is derived from networks that are not trained yet; run `hiercls train`")
        return found

    def known_tree(self) -> LabelTree | None:
        """The label tree; None while a derived one does not exist yet."""
        if self.recipe.tree.build is None:
            return self.recipe.written_tree()
        place = self.tree_place()
        if place is None or not place.exists():
            return None
        return self.recipe.truncated(from_json(place.read_text()))

    def why_tree(self) -> str | None:
        """Why the derived tree is this one, in its builder's words; None for a written one or before it exists."""
        place = None if self.recipe.tree.build is None else self.tree_place()
        return place.with_suffix(".txt").read_text().strip() if place is not None and place.exists() else None

    def tree_place(self) -> Path | None:
        """Where the derived tree is kept; None while the networks that it needs are not trained."""
        builder = self.recipe.tree.build
        assert builder is not None
        networks = self.networks(None)
        if not all(networks.trained(name) for name in builder.needs()):
            return None
        weights = [networks.weights_sha(name) for name in builder.needs()]
        facts = [identity(builder), weights, self.data.train_fingerprint, self.data.held_out, self.data.seed]
        facts.append(self.recipe.threat.identity())
        return self.folder / "trees" / f"{digest(facts)}.json"

    def plan(self) -> Plan:
        return plan(self.recipe, self.data.labels, self.known_tree())

    def networks(self, tree: LabelTree | None) -> Networks:
        """The networks of the run; without a tree, only those that the recipe names."""
        planned = plan(self.recipe, self.data.labels, tree)
        folder, threads = self.folder / "networks", self.recipe.threads
        return Networks(folder, planned.jobs, self.data, threads, tree, planned.composed)

    @property
    def address(self) -> "Address":
        return Address(self.folder, self.data.root, self.device)

    def context(self, progress: Progress = silent, **changes: Any) -> Context:
        recipe = self.recipe
        facts = {"seed": recipe.seed, "threat": recipe.threat, "threads": recipe.threads, "alpha": recipe.certify.alpha}
        return Context(**{**facts, "device": self.device, "progress": progress, **changes})

    def prepare(self, verb: str) -> None:
        """Make the folder, and keep the recipe, the environment and what was asked.

        Raises:
            DataError: the folder cannot be written.
        """
        write_atomic(self.folder / RESOLVED, self.recipe.resolved())
        write_atomic(self.folder / "env.json", json.dumps(environment(), indent=2) + "\n")
        tree = self.known_tree()
        if tree is not None:
            write_atomic(self.folder / "tree.json", as_json(tree))
        with Appender(self.folder / "events.jsonl") as events:
            events.append({"time": round(time.time(), 3), "verb": verb, "changed": list(self.changed)})


@dataclass(frozen=True)
class Address:
    """Where a run and its data are: what another process needs to open it."""

    folder: Path
    data_root: Path | None
    device: str

    def open(self) -> Run:
        return open_run(self.folder, Registry.load(), self.data_root, device=self.device)


def open_run(
    path: Path,
    registry: Registry,
    data_root: Path | None = None,
    root: Path = Path("runs"),
    allow_plugins: bool = False,
    device: str = "cpu",
) -> Run:
    """The run of a YAML file, or of the folder that one made.

    Args:
        root: the folder that holds runs.

    Raises:
        DataError: there is no such file, or the folder is no run.
        DeviceError: the device is not there.
    """
    if device != "cpu":
        require_device(device)
    if path.is_dir():
        if not (path / RESOLVED).exists():
            raise DataError(f"{path}: is not a run: it holds no {RESOLVED}")
        recipe = load_recipe(path / RESOLVED, registry, root=data_root, allow_plugins=True)
        return Run(path, recipe, _data(recipe, data_root), device=device)
    recipe = load_recipe(path, registry, root=data_root, allow_plugins=allow_plugins)
    folder = root / recipe.name
    return Run(folder, recipe, _data(recipe, data_root), _changed(folder / RESOLVED, recipe.resolved()), device)


def _data(recipe: Recipe, root: Path | None) -> Data:
    data = recipe.data
    return Data(data.dataset, root, recipe.threat, recipe.seed, data.allowed, data.held_out)


def _changed(kept: Path, resolved: str) -> tuple[str, ...]:
    """The keys in which two resolved recipes differ, dotted."""
    if not kept.exists():
        return ()
    yaml = YAML(typ="safe", pure=True)
    old, new = (_leaves(yaml.load(text), ()) for text in (kept.read_text(), resolved))
    return tuple(sorted(".".join(key) for key in old.keys() | new.keys() if old.get(key) != new.get(key)))


def _leaves(value: Any, above: tuple[str, ...]) -> dict[tuple[str, ...], Any]:
    if not isinstance(value, Mapping) or not value:
        return {above: value}
    return {key: leaf for name, entry in value.items() for key, leaf in _leaves(entry, (*above, str(name))).items()}


def environment() -> dict[str, str]:
    """The versions and the kind of machine that results are made with."""
    import numpy
    import torch

    processor = _processor()
    return {
        "hiercls": hiercls.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "machine": f"{platform.system()} {platform.machine()}, {processor}, {os.cpu_count()} cores",
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.processor() or "unknown processor"
    names = [
        line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
    ]
    return names[0] if names else "unknown processor"
