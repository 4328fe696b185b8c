"""Stochastic weight averaging: the mean of the weights that the late epochs end with (Izmailov et al. 2018)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch.nn.modules.batchnorm import _BatchNorm


class Averaging:
    """The running sum of a network's weights, in float64: the mean of equal weights is themselves.

    Args:
        network: what is trained.
        start: epochs that begin here or later give a sample at their end; None averages nothing and keeps nothing.
    """

    def __init__(self, network: torch.nn.Module, start: float | None):
        self.network = network
        self.start = start
        self.count = 0
        self.sums: dict[str, torch.Tensor] = {}

    def add(self, epoch: int) -> None:
        """Take the weights at the end of an epoch, counted from 0."""
        if self.start is None or epoch < self.start:
            return
        self.count += 1
        for name, weight in self.network.named_parameters():
            added = weight.detach().to(torch.float64, copy=True)
            self.sums[name] = self.sums[name] + added if name in self.sums else added

    @torch.no_grad()
    def settle(self, batches: Iterable[torch.Tensor]) -> None:
        """Give the network the mean of all samples, and the batch statistics that fit it; without samples, nothing.

        Args:
            batches: the training inputs, without augmentation, in random batches.
        """
        if not self.count:
            return
        for name, weight in self.network.named_parameters():
            weight.copy_(self.sums[name] / self.count)
        estimate_statistics(self.network, batches)

    def state(self) -> Mapping[str, torch.Tensor]:
        """What a resume needs; empty as long as there is no sample."""
        return {**self.sums, _COUNT: torch.tensor(self.count)} if self.count else {}

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take back what `state` gave."""
        self.count = int(state.get(_COUNT, 0))
        self.sums = {
            name: state[name].to(weight.device) for name, weight in self.network.named_parameters() if name in state
        }


@torch.no_grad()
def estimate_statistics(network: torch.nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Set every batch norm's running statistics to the mean of those of all batches, weighted by their sizes.

    All other layers are in eval mode meanwhile, as in what is deployed: dropout drops nothing.
    """
    norms = [layer for layer in network.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]
    if not norms:
        return
    seen = 0
    with _training_alone(network, norms):
        for x in batches:
            seen += len(x)
            for norm in norms:
                norm.momentum = len(x) / seen
            network(x)


@contextmanager
def _training_alone(network: torch.nn.Module, norms: Sequence[_BatchNorm]) -> Iterator[None]:
    """These layers, with fresh statistics, in train mode and all others in eval mode; then all as they were."""
    was_training = {layer: layer.training for layer in network.modules()}
    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.train()
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for layer, training in was_training.items():
            layer.training = training


_COUNT = "samples taken"
