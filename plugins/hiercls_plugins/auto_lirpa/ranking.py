"""Which children a box excludes, asked as few rows of the outputs."""

from dataclasses import dataclass

import torch

from hiercls.values.heads import Head


@dataclass(frozen=True)
class Ranking:
    """The allowed outputs of each input from the largest to the smallest at the input itself.

    Only a larger output can lead a smaller one over a box that holds the input, which halves the questions.

    Attributes:
        order: (N, allowed), indices of outputs.
        outputs: of the network.
    """

    order: torch.Tensor
    outputs: int

    @classmethod
    def of(cls, logits: torch.Tensor, head: Head) -> "Ranking":
        """Args: logits: (N, K) at the inputs."""
        allowed = torch.tensor(head.allowed, device=logits.device)
        return cls(allowed[logits[:, allowed].argsort(dim=1, descending=True, stable=True)], logits.shape[1])

    def rows(self) -> torch.Tensor:
        """The leads y_i - y_j of every larger output i over every smaller j, (N, pairs, K) float64."""
        identity = torch.eye(self.outputs, dtype=torch.float64, device=self.order.device)
        leaders, beaten = self._pairs()
        return identity[self.order[:, leaders]] - identity[self.order[:, beaten]]

    def excluded(self, leads: torch.Tensor, head: Head) -> torch.Tensor:
        """Whether every output of a child is led by some output, (N, children) bool.

        At any point of the box the largest output of such a child is led, by one that is outside the child
        because it is larger.

        Args:
            leads: (N, pairs) bool, which leads are proved.
        """
        beaten = torch.zeros(len(leads), self.outputs, dtype=torch.int64, device=leads.device)
        beaten.scatter_add_(1, self.order[:, self._pairs()[1]], leads.long())
        return torch.stack([(beaten[:, list(outputs)] > 0).all(dim=1) for outputs in head.outputs], dim=1)

    def _pairs(self) -> torch.Tensor:
        count = self.order.shape[1]
        return torch.triu_indices(count, count, offset=1, device=self.order.device)
