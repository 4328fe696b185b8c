"""The attack inside a training step, and the network that it attacks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx

from hiercls_plugins.bounds.bounded import Bounded
from hiercls_plugins.bounds.boxes import Box
from hiercls_plugins.bounds.operations import layer_of
from hiercls_plugins.bounds.statistics import Normalising, Statistics
from hiercls_plugins.bounds.tracing import evaluate, plain, result
from hiercls_plugins.bounds.training.objective import Step


@dataclass(frozen=True)
class Adversary:
    """Signed gradient steps on the cross-entropy from a random point of a box (Madry et al. 2018).

    It does not climb by `hiercls.contracts.ascent`: the balls here are boxes with a radius for every entry, and one
    step must cost one gradient. The last point is taken; whether a visited one was higher would cost a pass more.

    Attributes:
        steps: gradients taken.
        step: the length of each, as a share of the radius; from 2 on, a single step ends in a corner.
    """

    steps: int
    step: float

    def point(self, step: Step, box: Box) -> torch.Tensor:
        """A point of every box where the loss is high, (N, ...), without gradients.

        It attacks the network that is bounded: batch norms have the statistics of the clean pass. No parameter
        gets a gradient and no running statistics move. The start is drawn from the step's own randomness.
        """
        norms = step.statistics.norms
        fixed = Statistics({layer: Normalising(*(part.detach() for part in parts)) for layer, parts in norms.items()})
        drawn = torch.rand(box.centre.shape, generator=step.moment.generator).to(box.centre)
        x = box.centre + (2 * drawn - 1) * box.radius
        for _ in range(self.steps):
            x.requires_grad_(True)
            height = F.cross_entropy(outputs(step.bounded, x, fixed), step.y, reduction="sum")
            (gradient,) = torch.autograd.grad(height, x)
            x = torch.addcmul(x.detach(), gradient.sign_(), box.radius, value=self.step)
            x = torch.minimum(torch.maximum(x, box.lower), box.upper)
        return x


def outputs(bounded: Bounded, x: torch.Tensor, statistics: Statistics) -> torch.Tensor:
    """The logits of the network that is bounded, (N, K): its own pass, yet with given statistics in batch norms.

    Gradients flow to `x`, to the parameters and to the statistics; running statistics stay.
    """

    def call(node: fx.Node, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        layer = layer_of(bounded.network, node) if node.op == "call_module" else None
        if layer is not None and layer in statistics.norms:
            return _normalised(arguments[0], statistics.norms[layer])
        return plain(bounded.network, node, arguments, dict(options))

    return evaluate(bounded.network, bounded.graph, x, call)[result(bounded.graph)]


def _normalised(x: torch.Tensor, parts: Normalising) -> torch.Tensor:
    """(x - mean) scale + shift by torch's one kernel for it, whose only differentiable terms are weight and bias."""
    scale, mean, shift = parts
    zero, one = torch.zeros_like(mean), torch.ones_like(mean)
    return F.batch_norm(x, zero, one, scale, shift - mean * scale, training=False, eps=0.0)
