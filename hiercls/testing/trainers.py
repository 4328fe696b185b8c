"""What every trainer keeps, on two classes that a line separates."""

import json
import tempfile
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from hiercls.contracts.components import Task, Trainer
from hiercls.testing.components import ComponentConformance, context
from hiercls.values.labels import flat_tree
from hiercls.words.norms import LINF, Norm
from hiercls.words.threats import Domain, Threat


class TrainerConformance(ComponentConformance):
    """The facts that hold for a trainer.

    Attributes:
        accuracy: what the fitted network reaches on its own training inputs, at least.
        norm: of the threat that it is told.
        shape: of one input.
        parts: how many parts the task has.
        count: of training inputs.
    """

    accuracy: float = 0.9
    norm: Norm = LINF
    shape: tuple[int, ...] = (1, 4, 4)
    parts: int = 3
    count: int = 240

    @abstractmethod
    def make(self) -> Trainer: ...

    def network(self) -> torch.nn.Module:
        """An untrained network from (N, *shape) to (N, parts); override it where the trainer asks for another."""
        entries = torch.Size(self.shape).numel()
        torch.manual_seed(3)
        return torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(entries, 16), torch.nn.ReLU(), torch.nn.Linear(16, self.parts)
        )

    def task(self) -> Task:
        """Bright patches on noise in [0, 1], one place a part; a sixth is held out."""
        generator = torch.Generator().manual_seed(5)
        y = torch.arange(self.count) % self.parts
        entries = torch.Size(self.shape).numel()
        x = 0.3 * torch.rand(self.count, entries, generator=generator)
        width = entries // self.parts
        for part in range(self.parts):
            x[y == part, part * width : (part + 1) * width] += 0.6
        x = x.reshape(-1, *self.shape)
        kept = self.count - self.count // 6
        tree = flat_tree([f"part {k}" for k in range(self.parts)])
        return Task(x[:kept], y[:kept], x[kept:], y[kept:], tree.children(tree.root), Domain(), tree)

    def test_it_learns_what_a_line_separates(self) -> None:
        task = self.task()
        fitted = self._fit(task).eval()
        with torch.no_grad():
            right = float((fitted(task.x).argmax(dim=1) == task.y).double().mean())
        assert right >= self.accuracy, f"{right:.1%} of its own training inputs are right, {self.accuracy:.1%} is asked"

    def test_the_weights_are_finite_and_fit_the_architecture(self) -> None:
        fitted = self._fit(self.task())
        fresh = self.network()
        fresh.load_state_dict(safetensors.torch.load(safetensors.torch.save(contiguous(fitted))))
        assert all(bool(tensor.isfinite().all()) for tensor in fitted.state_dict().values())
        x = self.task().x
        with torch.no_grad():
            assert torch.equal(fresh.eval()(x), fitted.eval()(x)), "a network's state_dict is its whole state"

    def test_the_same_seed_gives_the_same_weights_whatever_torch_drew_before(self) -> None:
        first = contiguous(self._fit(self.task()))
        torch.manual_seed(12345)
        second = contiguous(self._fit(self.task(), disturb=True))
        for name, tensor in first.items():
            assert torch.equal(tensor, second[name]), f"{name} depends on more than the seed"

    def test_a_folder_for_checkpoints_changes_no_weight(self) -> None:
        without = contiguous(self._fit(self.task()))
        with tempfile.TemporaryDirectory() as folder:
            kept = contiguous(self._fit(self.task(), scratch=Path(folder)))
        for name, tensor in without.items():
            assert torch.equal(tensor, kept[name]), f"{name} changes where checkpoints are kept"

    def test_no_held_out_example_is_needed(self) -> None:
        task = self.task()
        empty = Task(task.x, task.y, task.x[:0], task.y[:0], task.parts, task.domain, task.tree)
        assert all(bool(tensor.isfinite().all()) for tensor in self._fit(empty).state_dict().values())

    def test_the_examples_stay_as_they_are(self) -> None:
        task = self.task()
        self._fit(task)
        known = self.task()
        assert torch.equal(task.x, known.x), "training inputs were changed in place"
        assert torch.equal(task.y, known.y)

    def test_the_suggested_certifier_can_be_written_in_yaml(self) -> None:
        suggested = self.make().certifier()
        if suggested is not None:
            ((name, options),) = suggested.items()
            assert isinstance(name, str)
            assert isinstance(options, Mapping)
            assert json.loads(json.dumps(dict(options))) == dict(options)

    def _fit(self, task: Task, disturb: bool = False, **changes: Any) -> torch.nn.Module:
        network = self.network()
        if disturb:
            torch.rand(7)
        return self.make().fit(network, task, context(Threat(self.norm, budgets=(0.1,)), **changes))


def contiguous(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone().contiguous() for name, tensor in network.state_dict().items()}
