"""Trained networks on disk: their keys, weights and training."""

import fcntl
import hashlib
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

import hiercls
from hiercls.contracts.context import Context
from hiercls.values.labels import LabelTree, Node
from hiercls.values.records import digest, read_json, write_atomic
from hiercls.whole.composite import Composite, composition
from hiercls.whole.data import Data
from hiercls.whole.plan import Job, System, described, identity
from hiercls.words.errors import ConfigurationError, DataError


@dataclass(frozen=True, eq=False)
class Networks:
    """The networks of one run.

    Attributes:
        folder: `networks/` in the run.
        jobs: all jobs of the plan, by name.
        tree: the label tree, for trainers that use it.
        composed: networks that are composed of these, and have neither a job nor a folder.
    """

    folder: Path
    jobs: Mapping[str, Job]
    data: Data
    threads: int
    tree: LabelTree | None
    composed: Mapping[str, System] = field(default_factory=dict)

    def behind(self, name: str) -> tuple[str, ...]:
        """The trained networks behind a name: those that it is composed of, or itself."""
        return self.composed[name].networks if name in self.composed else (name,)

    def architecture(self, name: str) -> dict[str, Any]:
        """What a network computes besides its weights, for a key."""
        told = {each: identity(self.jobs[each].architecture) for each in self.behind(name)}
        return composition(self.composed[name], told) if name in self.composed else told[name]

    def key(self, name: str) -> str:
        """A hash of all that the weights depend on.

        Raises:
            ConfigurationError: the network that it starts from is not trained yet.
        """
        job = self.jobs[name]
        return digest(
            {
                "architecture": identity(job.architecture),
                "trainer": identity(job.trainer),
                "init": None if job.init is None else self.weights_sha(job.init),
                "parts": [sorted(part) for part in job.parts],
                "view": job.view,
                "threat": replace(self.data.threat, budgets=()).identity(),
                "data": self.data.train_fingerprint,
                "held out": self.data.held_out,
                "tree": self.tree.partition() if job.trainer.uses_tree and self.tree else None,
                "seed": self.data.seed,
                "threads": self.threads,
            }
        )

    def place(self, name: str) -> Path:
        return self.folder / self.key(name)

    def trained(self, name: str) -> bool:
        return all(self._trained(each) for each in self.behind(name))

    def _trained(self, name: str) -> bool:
        init = self.jobs[name].init
        return (init is None or self.trained(init)) and (self.place(name) / "meta.json").exists()

    def weights_sha(self, name: str) -> str:
        """The SHA-256 of a trained network's weights file; of a composed network a digest of those behind it."""
        if name in self.composed:
            return digest([self.weights_sha(each) for each in self.behind(name)])
        if not self.trained(name):
            raise ConfigurationError(f"network {name!r} is not trained yet; run `hiercls train` first")
        return str(read_json(self.place(name) / "meta.json")["sha256"])

    def load(self, name: str) -> torch.nn.Module:
        """A trained network, or one that is composed of such, in eval mode.

        Raises:
            DataError: the weights are not those that were trained.
        """
        if name not in self.composed:
            return self._loaded(name)
        return Composite(self.composed[name], {each: self._loaded(each) for each in self.behind(name)}).eval()

    def _loaded(self, name: str) -> torch.nn.Module:
        expected = self.weights_sha(name)
        path = self.place(name) / "weights.safetensors"
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != expected:
            raise DataError(f"{path}: is not what was trained (SHA-256 differs); delete {path.parent} and train again")
        network = self._built(self.jobs[name])
        try:
            network.load_state_dict(safetensors.torch.load(content))
        except (SafetensorError, RuntimeError) as error:
            raise DataError(f"{path}: does not fit its architecture: {error}") from error
        return network.eval()

    def train(self, name: str, context: Context) -> bool:
        """Train one network, or resume it; False if it was there already.

        The weights and then the record are renamed into place: a network is either trained or it is not.
        """
        place = self.place(name)
        with _locked(place):
            if self.trained(name):
                return False
            started = time.monotonic()
            job = self.jobs[name]
            network = self.started(name)
            task = self.data.task(job.parts, job.view, self.tree if job.trainer.uses_tree else None)
            task = replace(task, started=job.init is not None)
            fitted = job.trainer.fit(network, task, context)
            content = safetensors.torch.save({k: v.contiguous() for k, v in fitted.cpu().state_dict().items()})
            write_atomic(place / "weights.safetensors", content)
            write_atomic(place / "meta.json", _record(job, fitted, content, task, time.monotonic() - started))
            for leftover in (*place.glob("checkpoint*"), *place.glob(".*.[0-9]*")):
                leftover.unlink()
            return True

    def _built(self, job: Job) -> torch.nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.data.seed)
            return job.architecture.build(self.data.dataset.views()[job.view], len(job.parts))

    def started(self, name: str) -> torch.nn.Module:
        """A network as its training begins: fresh, or with the weights of the one that its recipe names as `init`.

        Raises:
            ConfigurationError: the weights of the two do not fit together; names both.
        """
        job = self.jobs[name]
        network = self._built(job)
        if job.init is not None:
            start = self.load(job.init).state_dict()
            try:
                weights = merged_start(network.state_dict(), start, job.parts, self.jobs[job.init].parts)
            except ConfigurationError as error:
                raise ConfigurationError(f"{name!r} cannot start from {job.init!r}: {error}") from error
            network.load_state_dict(weights)
        return network


def merged_start(
    fresh: Mapping[str, torch.Tensor],
    start: Mapping[str, torch.Tensor],
    parts: tuple[Node, ...],
    start_parts: tuple[Node, ...],
) -> dict[str, torch.Tensor]:
    """Weights to start from: those of another network, its output rows averaged over each part.

    Raises:
        ConfigurationError: the two networks differ in more than their outputs.
    """
    members = [[k for k, other in enumerate(start_parts) if other <= part] for part in parts]
    if not all(members):
        raise ConfigurationError("it has no output for some child")
    found = {}
    for name, tensor in fresh.items():
        given = start.get(name)
        if given is not None and given.shape == tensor.shape:
            found[name] = given.clone()
        elif given is not None and _same_but_outputs(given, tensor, len(start_parts), len(parts)):
            found[name] = torch.stack([given[rows].mean(dim=0) for rows in members])
        else:
            there = "is missing there" if given is None else f"has shape {tuple(given.shape)} there"
            raise ConfigurationError(f"{name} {there} and shape {tuple(tensor.shape)} here; use its architecture")
    return found


def _same_but_outputs(given: torch.Tensor, tensor: torch.Tensor, start_outputs: int, outputs: int) -> bool:
    rows = len(given.shape) > 0 and len(tensor.shape) > 0 and (len(given), len(tensor)) == (start_outputs, outputs)
    return rows and given.shape[1:] == tensor.shape[1:]


def _record(job: Job, network: torch.nn.Module, content: bytes, task: Any, seconds: float) -> str:
    import json

    record = {
        "name": job.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "architecture": described(job.architecture),
        "trainer": described(job.trainer),
        "init": job.init,
        "view": job.view,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "examples": len(task.x),
        "seconds": round(seconds, 1),
        "versions": {"hiercls": hiercls.__version__, "torch": torch.__version__, "python": platform.python_version()},
    }
    return json.dumps(record, indent=2) + "\n"


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Hold a folder alone; a second process waits until the first is done."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        with (place / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise DataError(f"{place}: cannot be written: {error.strerror}") from error
