"""The nearest-mean trainer keeps what every trainer keeps, and decides as brute force does."""

import torch
from nearest_mean.trainer import NearestMean

from hiercls.testing import TrainerConformance
from hiercls.testing.components import context
from hiercls.words.threats import Threat


class TestNearestMean(TrainerConformance):
    def make(self) -> NearestMean:
        return NearestMean()

    def network(self) -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(torch.Size(self.shape).numel(), self.parts))

    def test_it_decides_for_the_nearest_mean(self) -> None:
        task = self.task()
        x = task.x.flatten(1)
        means = torch.stack([x[task.y == part].mean(dim=0) for part in range(self.parts)])
        fitted = self.make().fit(self.network(), task, context(Threat()))
        held_out = task.held_out_x
        nearest = torch.cdist(held_out.flatten(1), means).argmin(dim=1)
        assert torch.equal(fitted(held_out).argmax(dim=1), nearest)
