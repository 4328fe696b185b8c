"""Copies whose answers agree."""

import torch
import torch.nn.functional as F

from hiercls_plugins.noise_training.copies import OnCopies, log_mean, mean_cross_entropy


class AgreeingCopies(OnCopies):
    """Cross-entropy + lbd (mean KL of the mean answer to each copy's) + eta (entropy of the mean answer).

    Jeong and Shin 2020, section 3; KL runs from the mean to the copy, as there.
    """

    def __init__(self, sigma: float, draws: int, lbd: float, eta: float):
        super().__init__(sigma, draws)
        self.lbd = lbd
        self.eta = eta

    def measured(self, logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        mean = log_mean(logits)
        return mean_cross_entropy(logits, y) + self.lbd * disagreement(logits, mean) + self.eta * entropy(mean)


def disagreement(logits: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """KL(mean answer || each copy's answer), averaged over copies and inputs; `mean` (N, K) holds logs."""
    return F.kl_div(F.log_softmax(logits, dim=2), mean, reduction="none", log_target=True).sum(dim=2).mean()


def entropy(mean: torch.Tensor) -> torch.Tensor:
    """The entropy of the mean answer, averaged over inputs; `mean` (N, K) holds logs."""
    return -(mean.exp() * mean).sum(dim=1).mean()
