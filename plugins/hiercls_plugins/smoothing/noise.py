"""The objective of training on noise."""

import torch
from torch.nn.functional import cross_entropy

from hiercls.contracts.fitting import Moment, Stateless


class NoisyCrossEntropy(Stateless):
    """Cross-entropy at inputs with fresh N(0, sigma^2) noise, which is never clipped."""

    def __init__(self, sigma: float):
        self.sigma = sigma

    def loss(self, network: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, moment: Moment) -> torch.Tensor:
        generator = moment.generator
        noise = torch.randn(x.shape, generator=generator, device=generator.device, dtype=x.dtype)
        return cross_entropy(network(x + self.sigma * noise.to(x.device)), y)
