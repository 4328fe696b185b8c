"""Copies with a large certified radius."""

import torch
import torch.nn.functional as F

from hiercls_plugins.noise_training.copies import OnCopies, log_mean


class WideCopies(OnCopies):
    """The cross-entropy of the mean answer + lbd (sigma / 2) (hinge of the soft radius).

    Zhai et al. 2020, algorithm 1. Both are averaged over all inputs; the hinge is 0 for those not answered right.
    """

    def __init__(self, sigma: float, draws: int, lbd: float, gamma: float, beta: float):
        super().__init__(sigma, draws)
        self.lbd = lbd
        self.gamma = gamma
        self.beta = beta

    def measured(self, logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        clean = F.nll_loss(log_mean(logits), y)
        return clean + self.lbd * self.sigma / 2 * hinge(logits, y, self.gamma, self.beta)


def hinge(logits: torch.Tensor, y: torch.Tensor, gamma: float, beta: float) -> torch.Tensor:
    """The sum of max(0, gamma - (Phi^-1(p1) - Phi^-1(p2))) over the inputs answered right, divided by all inputs.

    p1 and p2 are the largest means over all copies of softmax(beta logits). They are float64, for float32 ends at
    5.2 standard deviations. An input beyond the hinge, whose p1 may be 1, has no part in the gradient.
    """
    shares = (beta * logits.double()).softmax(dim=2).mean(dim=0)
    top, places = shares.topk(2, dim=1)
    counted = (places[:, 0] == y) & (_gap(top.detach()) <= gamma)
    return (gamma - _gap(top[counted])).sum() / len(y)


def _gap(top: torch.Tensor) -> torch.Tensor:
    """Phi^-1(p1) - Phi^-1(p2), twice the soft radius in units of sigma."""
    return torch.special.ndtri(top[:, 0]) - torch.special.ndtri(top[:, 1])
