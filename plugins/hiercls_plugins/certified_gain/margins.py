"""What the interval margins of a flat network prove on a sample."""

from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch

from hiercls.contracts.components import Task
from hiercls.contracts.context import Context
from hiercls.contracts.frozen import frozen
from hiercls.words.errors import ConfigurationError
from hiercls.words.threats import Domain
from hiercls_plugins.bounds.bounded import Bounded
from hiercls_plugins.bounds.boxes import enclosing
from hiercls_plugins.bounds.exclusion import leads
from hiercls_plugins.bounds.precision import FullPrecision
from hiercls_plugins.bounds.rounding import FLOAT32

BATCH = 250

DRAWN = 41
"""The key of the examples that are drawn."""


@dataclass(frozen=True)
class Sample:
    """Some examples to choose a tree on.

    Attributes:
        x: (N, ...) float32.
        truth: (N,) int64.
        told: how many there are and where they come from, for people.
    """

    x: torch.Tensor
    truth: torch.Tensor
    told: str


def sample(task: Task, count: int, context: Context) -> Sample:
    """At most `count` examples, drawn evenly from those held out; from the training examples if there are none."""
    held = len(task.held_out_y) > 0
    x, y = (task.held_out_x, task.held_out_y) if held else (task.x, task.y)
    drawn = torch.randperm(len(y), generator=context.generator(DRAWN))[:count]
    kind = "held-out examples" if held else "training examples (none is held out, so expect less)"
    return Sample(x[drawn], y[drawn], f"{len(drawn):,} {kind}")


@dataclass(frozen=True)
class Margins:
    """What one network proves of N inputs at one budget.

    Attributes:
        beats: (N, L, L) bool; [n, i, j] says that output i is larger than j on all of the box of input n.
        answer: (N,) int64, the largest output at the input itself.
    """

    beats: np.ndarray
    answer: np.ndarray


class Measured:
    """One flat network, traced once, to be measured at several budgets."""

    def __init__(self, network: torch.nn.Module, domain: Domain, device: str = "cpu"):
        fixed = frozen(network, device)
        self._deployed = FullPrecision(fixed)
        self._bounded = Bounded(deepcopy(fixed).double(), FLOAT32)
        self._domain = domain
        self._device = device

    @torch.no_grad()
    def margins(self, x: torch.Tensor, budget: float) -> Margins:
        """Which outputs beat which over the l_inf boxes, as the ibp certifier finds when it tests this budget.

        Where an output may overflow, the network may abstain: nothing beats anything.

        Args:
            x: (N, ...) float32, inside the domain.
        """
        parts = [self._batch(batch.to(self._device), budget) for batch in x.split(BATCH)]
        beats, answers = zip(*parts, strict=True)
        return Margins(torch.cat(beats).numpy(), torch.cat(answers).numpy())

    @torch.no_grad()
    def rows(self, x: torch.Tensor, labels: int, name: str) -> np.ndarray:
        """The weight rows of the last layer, (L, features) float64; the identity where it has no weights.

        Raises:
            ConfigurationError: there is not one output a label.
        """
        point = x[:1].to(self._device)
        weight = self._bounded.features(enclosing(point, point.new_zeros(1).double(), self._domain)).weight
        if len(weight) != labels:
            raise ConfigurationError(f"tree: network {name!r} has {len(weight)} outputs, not one a label ({labels})")
        return weight.cpu().numpy()

    def _batch(self, x: torch.Tensor, budget: float) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self._deployed(x)
        budgets = torch.full((len(x),), budget, dtype=torch.float64, device=x.device)
        features = self._bounded.features(enclosing(x, budgets, self._domain))
        lowest = torch.stack(list(leads(features, tuple(range(logits.shape[1])), FLOAT32)), dim=1)
        return ((lowest > 0) & lowest.isfinite()).cpu(), logits.argmax(dim=1).cpu()
