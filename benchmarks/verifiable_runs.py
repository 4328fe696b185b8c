"""The run of one row of a table: its recipe, the networks that it needs, and what is measured of it."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from ruamel.yaml import YAML
from variants import variant, written
from verifiable_memory import Memory
from verifiable_settings import FOLDER, Row, Setting

from hiercls.contracts.components import Architecture, Dataset, Examples
from hiercls.values.records import digest, write_atomic
from hiercls.verbs.certify import certify
from hiercls.verbs.report import findings
from hiercls.verbs.train import derive_tree
from hiercls.whole.data import Data
from hiercls.whole.networks import Networks
from hiercls.whole.plan import TREE, Job
from hiercls.whole.runs import Run
from hiercls.words.errors import ConfigurationError

SMALL_EPOCHS, SMALL_TRAINING, SMALL_TEST = 2, 400, 200


@dataclass
class Bench:
    """Where runs are, and in which form their recipes are run.

    Attributes:
        epochs: instead of those of the recipes, whose ramps and decays shrink with them; None for their own.
        small: a few hundred images.
        memory: what was measured before, here or elsewhere.
    """

    runs: Path
    device: str = "cpu"
    epochs: int | None = None
    small: bool = False
    memory: Memory = field(default_factory=Memory)
    _data: Data | None = field(default=None, init=False)

    def run(self, setting: Setting, row: Row, seed: int, groups: Any = None) -> Run:
        """The run of one row; the rows of a setting and seed share its folder, so that networks are shared by key.

        Args:
            groups: a tree in the place of the recipe's.
        """
        name = f"{setting.run_name(seed)}{self.suffix}"
        label = f"{name}.{row.name.lower().replace(' ', '-')}"
        files = [FOLDER / file for file in (setting.config, *setting.layers, *row.parts)]
        changes = {"name": name, "seed": seed, **_changes(setting, row)}
        if groups is not None:
            label, changes["tree"] = f"{label}.halved", {**changes.get("tree", {}), "groups": groups}
        found = variant(files, changes, self.runs, label, self.device)
        if self.epochs is not None:
            document = YAML(typ="safe", pure=True).load(found.recipe.resolved())
            found = written(shortened(document, self.epochs), self.runs, label, self.device)
        return replace(found, data=self._shared(found.data))

    @property
    def suffix(self) -> str:
        epochs = "" if self.epochs is None else f"-epochs-{self.epochs}"
        return "-small" if self.small else epochs

    def _shared(self, data: Data) -> Data:
        """The same data in one place for all rows of a setting and seed: they are loaded and hashed once."""
        if self.small:
            data = replace(data, dataset=Few(of=data.dataset, training=SMALL_TRAINING, test=SMALL_TEST))
        if self._data is None or vars_of(self._data) != vars_of(data):
            self._data = data
        return self._data


def vars_of(data: Data) -> tuple[Any, ...]:
    return data.dataset, data.root, data.threat, data.seed, data.allowed_view, data.held_out


class Few(Dataset):
    """As many examples of every label as a small number of all allows."""

    of: Dataset
    training: int
    test: int

    def labels(self, root: Path | None) -> tuple[str, ...]:
        return self.of.labels(root)

    def views(self) -> Mapping[str, tuple[int, ...]]:
        return self.of.views()

    def load(self, split: str, root: Path | None) -> Examples:
        found = self.of.load(split, root)
        each = (self.training if split == "train" else self.test) // len(self.labels(root))
        rows = torch.cat([(found.truth == label).nonzero()[:each, 0] for label in found.truth.unique()])
        views = {name: view[rows] for name, view in found.views.items()}
        return Examples(views, found.truth[rows], tracks=None if found.tracks is None else found.tracks[rows])


def _changes(setting: Setting, row: Row) -> dict[str, Any]:
    """A row that is a tree stands alone; a flat row is a baseline beside a tree that is restricted from it for free."""
    if row.flat is None:
        return {"baseline": []}
    nodes = {selector: {"restrict": row.flat, "certifier": "none"} for selector in setting.selectors}
    tree = {} if setting.tree_of_flat_rows is None else {"tree": dict(setting.tree_of_flat_rows)}
    return {"baseline": [row.flat], "nodes": nodes, **tree}


def shortened(document: Any, epochs: int) -> Any:
    """A recipe in which every training has this many epochs; its ramp and its decay shrink with them."""
    if isinstance(document, list):
        return [shortened(item, epochs) for item in document]
    if not isinstance(document, dict):
        return document
    found = {key: shortened(item, epochs) for key, item in document.items()}
    schedule = document.get("schedule")
    if isinstance(schedule, dict) and "epochs" in schedule:
        share = epochs / schedule["epochs"]
        found["schedule"] = {**schedule, "epochs": epochs}
        if isinstance(schedule.get("decay"), dict):
            found["schedule"]["decay"] = {**schedule["decay"], "at": [share * at for at in schedule["decay"]["at"]]}
        if schedule.get("average") is not None:
            found["schedule"]["average"] = min(share * schedule["average"], epochs - 1)
        if "ramp" in document:
            found["ramp"] = [share * epoch for epoch in document["ramp"]]
    return found


def networks_of(run: Run) -> Networks:
    return run.networks(run.known_tree())


def needed(run: Run, setting: Setting) -> tuple[str, ...]:
    """The networks that a row needs, each after those that it starts from."""
    plan = run.plan()
    builder = run.recipe.tree.build
    wanted = set() if builder is None else set(builder.needs())
    wanted |= {placement.job for system in plan.systems for placement in system.nodes.values()}
    if setting.most_natural_error is not None:
        wanted.add("natural")
    while starts := {plan.jobs[name].init for name in wanted} - wanted - {None}:
        wanted |= {name for name in starts if name is not None}
    return tuple(step.name for step in plan.steps if step.kind == "network" and step.name in wanted)


def missing(run: Run, setting: Setting, runs: Path) -> tuple[str, ...]:
    """The networks that a row needs and that no run has trained; a tree that can be derived is."""
    builder = run.recipe.tree.build
    if builder is not None and run.known_tree() is None:
        named = run.networks(None)
        if all(named.trained(name) for name in builder.needs()):
            derive_tree(run)
    networks = networks_of(run)
    return tuple(name for name in needed(run, setting) if not (networks.trained(name) or taken(networks, name, runs)))


def taken(networks: Networks, name: str, runs: Path) -> bool:
    """Take a network over from another run: its key tells everything that its weights depend on."""
    init = networks.jobs[name].init
    if init is not None and not networks.trained(init):
        return False
    place = networks.place(name)
    for other in sorted(runs.glob(f"*/networks/{place.name}/meta.json")):
        for file in ("weights.safetensors", "history.jsonl", "meta.json"):  # the record last: it says that all is there
            write_atomic(place / file, (other.parent / file).read_bytes())
        print(f"{place.parents[1].name}: {name} is that of {other.parents[2].name}", file=sys.stderr, flush=True)
        return True
    return False


@cache
def size(architecture: Architecture, shape: tuple[int, ...], outputs: int) -> tuple[int, int]:
    """The parameters of a network, and the multiplications of one forward pass."""
    network = architecture.build(shape, outputs).eval()
    passed: list[int] = []

    def count(layer: torch.nn.Module, _: object, out: torch.Tensor) -> None:
        weight = layer.weight
        assert isinstance(weight, torch.Tensor)
        passed.append(weight[0].numel() * out[0].numel())

    for layer in network.modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
            layer.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, *shape))
    return sum(parameter.numel() for parameter in network.parameters()), sum(passed)


def sized(data: Data, job: Job) -> tuple[int, int]:
    return size(job.architecture, data.dataset.views()[job.view], len(job.parts))


def largest(run: Run, setting: Setting) -> int:
    """The parameters of the largest network of a row.

    Raises:
        ConfigurationError: it has more than the setting allows.
    """
    jobs = run.plan().jobs
    most = max(sized(run.data, jobs[name])[0] for name in needed(run, setting))
    if setting.most_parameters is not None and most > setting.most_parameters:
        raise ConfigurationError(
            f"{setting.config}: a network has {most:,} parameters; {setting.most_parameters:,} are allowed"
        )
    return most


@torch.no_grad()
def natural_error(run: Run) -> float:
    """The share of test images that the flat natural network gets wrong."""
    network, images = networks_of(run).load("natural").to(run.device), run.data.test.views["image"]
    answers = torch.cat([network(batch.to(run.device)).argmax(dim=1).cpu() for batch in images.split(1000)])
    return float((answers != run.data.test.truth).double().mean())


def measured(run: Run, row: Row) -> tuple[dict[str, float], float]:
    """The metrics of a row whose networks are trained, and the seconds that certifying took now.

    Raises:
        ConfigurationError: certifying was interrupted.
    """
    started = time.perf_counter()
    done = certify(run)
    if done["finished"] < done["inputs"]:
        raise ConfigurationError(f"{run.recipe.name}: certifying {row.name} was interrupted; start again to go on")
    found = findings(run).metrics[row.flat or TREE]
    return {name: float(value) for name, value in found.items()}, time.perf_counter() - started


def unfrozen(run: Run, row: Row) -> str:
    """Why a row cannot be trained yet: the tree that it asks for is not written. Empty where it can."""
    tree = run.known_tree()
    if not row.binary or tree is None or all(len(tree.children(node)) == 2 for node in tree.decisions):
        return ""
    return "its tree below the root split is not frozen yet (benchmarks/ward.py prints it)"


def halved(run: Run) -> Any:
    """Groups in the place of a tree that is not known yet, for estimates alone: each side halved down to the labels."""
    labels, tree = run.data.labels, run.known_tree()
    sides = [tuple(range(len(labels)))] if tree is None else [sorted(side) for side in tree.children(tree.root)]
    groups = [_halves([labels[label] for label in side]) for side in sides]
    return groups if tree is not None else groups[0]


def _halves(labels: Sequence[str]) -> Any:
    middle = len(labels) // 2
    return labels[0] if len(labels) == 1 else [_halves(labels[:middle]), _halves(labels[middle:])]


def too_wrong(bench: Bench, run: Run, setting: Setting) -> str:
    """Why no row of a setting counts: its natural network errs too much. Empty where it does not, or is not trained."""
    limit = setting.most_natural_error
    if limit is None or bench.suffix or not networks_of(run).trained("natural"):
        return ""
    error = natural_error(run)
    wrong = f"the natural network errs on {100 * error:.2f}% of the test images, above {100 * limit:.0f}%"
    return f"{wrong}, and no row counts" if error > limit else ""


def identity(networks: Networks, name: str) -> str:
    """What tells two trainings apart, also before the networks that they start from are there."""
    job, tree, data = networks.jobs[name], networks.tree, networks.data
    own = [repr(data.dataset), data.seed, repr(job.architecture), repr(job.trainer), job.view]
    parts = [sorted(part) for part in job.parts]
    grouped = tree.partition() if tree is not None and job.trainer.uses_tree else None
    return digest([*own, parts, grouped, None if job.init is None else identity(networks, job.init)])


def history(networks: Networks, name: str) -> list[float]:
    """The seconds of every epoch of a training; none where it has not begun."""
    job = networks.jobs[name]
    if job.init is not None and not networks.trained(job.init):
        return []
    place = networks.place(name) / "history.jsonl"
    return [json.loads(line)["seconds"] for line in place.read_text().splitlines()] if place.exists() else []
