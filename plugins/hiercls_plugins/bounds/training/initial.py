"""Initial weights for interval bounds."""

from math import pi, sqrt

import torch
from torch import nn

MATRICES = (nn.Linear, nn.Conv1d, nn.Conv2d)


@torch.no_grad()
def draw_fast_weights(network: nn.Module, generator: torch.Generator) -> None:
    """Draw W ~ N(0, 2 pi / fan_in^2) for every linear and convolutional layer but the last one, in place.

    Then E|W| sums to 2 over a neuron's inputs: with half of the radius lost in a ReLU, boxes keep their size from
    layer to layer (Shi et al. 2021, section 4.1). Biases and the last layer keep their weights.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, MATRICES)]
    for layer in layers[:-1]:
        fan_in = layer.weight[0].numel()
        drawn = torch.randn(layer.weight.shape, generator=generator) * (sqrt(2 * pi) / fan_in)
        layer.weight.copy_(drawn)
