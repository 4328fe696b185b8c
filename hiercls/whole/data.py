"""The examples of a run: what is trained on, held out, and certified."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from hiercls.contracts.components import Dataset, Examples, Task
from hiercls.values.draws import Purpose
from hiercls.values.labels import LabelTree, Node
from hiercls.values.views import Inputs, require_domain
from hiercls.words.errors import ConfigurationError
from hiercls.words.threats import Threat


@dataclass(frozen=True, eq=False)
class Data:
    """One dataset, as one run uses it.

    Attributes:
        root: the folder that holds datasets, if one is set.
        allowed_view: the trusted view that restricts labels, or None.
        held_out: the share of the training split (below 1) or the number of examples kept from training.
    """

    dataset: Dataset
    root: Path | None
    threat: Threat
    seed: int
    allowed_view: str | None = None
    held_out: float = 0.0

    @cached_property
    def labels(self) -> tuple[str, ...]:
        return self.dataset.labels(self.root)

    @cached_property
    def train(self) -> Examples:
        return self._checked("train")

    @cached_property
    def test(self) -> Examples:
        return self._checked("test")

    def _checked(self, split: str) -> Examples:
        examples = self.dataset.load(split, self.root)
        view = self.threat.view
        if view in examples.views:
            require_domain(examples.views[view], self.threat.domain, f"the {split} split's {view}")
        return examples

    @cached_property
    def train_fingerprint(self) -> str:
        return fingerprint(self.train)

    @cached_property
    def test_fingerprint(self) -> str:
        return fingerprint(self.test)

    @cached_property
    def inputs(self) -> Inputs:
        """The whole test split."""
        allowed = None if self.allowed_view is None else self.test.allowed[self.allowed_view]
        index = torch.arange(len(self.test.truth))
        return Inputs(index, self.test.views, allowed, self.allowed_view)

    @cached_property
    def order(self) -> torch.Tensor:
        """A seeded permutation of the test split; `inputs: k` takes its first k."""
        return torch.randperm(len(self.test.truth), generator=_generator(self.seed, 1))

    def selected(self, inputs: Any, tree: LabelTree) -> torch.Tensor:
        """The places in the test split of the inputs that a recipe asks for, in the order of certification.

        Args:
            inputs: `all`, a number, or a number for every label set at one level.
        """
        if inputs == "all":
            return self.order
        if isinstance(inputs, int):
            if inputs > len(self.order):
                raise ConfigurationError(f"certify.inputs: {inputs} asked, the test split has {len(self.order)}")
            return self.order[:inputs]
        groups = [node for node in tree if _at_level(tree, node, inputs.level)]
        truth = self.test.truth[self.order]
        firsts = [self.order[torch.isin(truth, torch.tensor(sorted(group)))][: inputs.each] for group in groups]
        chosen = torch.cat(firsts)
        return self.order[torch.isin(self.order, chosen)]

    def task(self, parts: tuple[Node, ...], view: str, tree: LabelTree | None) -> Task:
        """What a network with these parts learns: the training examples of its labels, the held-out ones apart."""
        part_of = torch.full((len(self.labels),), -1)
        for k, part in enumerate(parts):
            part_of[sorted(part)] = k
        y = part_of[self.train.truth]
        fits, kept = (y >= 0) & ~self._held_out_rows, (y >= 0) & self._held_out_rows
        x = self.train.views[view]
        if not bool(fits.any()):
            raise ConfigurationError("data: no training example is left for a node; hold out fewer")
        return Task(x[fits], y[fits], x[kept], y[kept], parts, self.threat.domain, tree)

    @cached_property
    def _held_out_rows(self) -> torch.Tensor:
        """(N,) bool over the training split; examples of one track stay on one side."""
        count = len(self.train.truth)
        asked = int(self.held_out * count) if self.held_out < 1 else int(self.held_out)
        if asked >= count:
            raise ConfigurationError(f"data.held_out: {asked} of {count} training examples leaves none to train on")
        tracks = torch.arange(count) if self.train.tracks is None else self.train.tracks
        names, place = tracks.unique(return_inverse=True)
        shuffled = torch.randperm(len(names), generator=_generator(self.seed, 2))
        sizes = place.bincount()[shuffled].cumsum(0)
        return torch.isin(place, shuffled[sizes <= asked])


def _at_level(tree: LabelTree, node: Node, level: int) -> bool:
    """Nodes at a level, and leaves above it, so that every label is in exactly one."""
    return tree.level(node) == level or (tree.level(node) < level and not tree.children(node))


def _generator(seed: int, use: int) -> torch.Generator:
    import numpy as np

    words = np.random.SeedSequence(seed, spawn_key=(Purpose.TRAIN.value, 0xDA7A, use))
    return torch.Generator().manual_seed(int(words.generate_state(1, np.uint64)[0] >> 1))


def fingerprint(examples: Examples) -> str:
    """The SHA-256 of everything in a split."""
    found = hashlib.sha256()
    tensors = {**{f"view {k}": v for k, v in examples.views.items()}, "truth": examples.truth}
    tensors |= {f"allowed {k}": v for k, v in examples.allowed.items()}
    if examples.tracks is not None:
        tensors["tracks"] = examples.tracks
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        found.update(tensor.numpy().data)
    return found.hexdigest()[:16]
