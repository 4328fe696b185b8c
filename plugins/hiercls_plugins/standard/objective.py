"""The plain loss."""

import torch

from hiercls.contracts.fitting import Moment, Stateless


class CrossEntropy(Stateless):
    """Cross entropy of the logits."""

    def __init__(self, label_smoothing: float = 0.0):
        self.label_smoothing = label_smoothing

    def loss(self, network: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, moment: Moment) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(network(x), y, label_smoothing=self.label_smoothing)
