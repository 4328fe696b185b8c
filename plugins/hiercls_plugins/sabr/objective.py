"""The worst case over a small box around an adversarial point."""

from dataclasses import dataclass
from functools import cached_property

import torch

from hiercls.words.threats import Domain
from hiercls_plugins.bounds.bounded import Features
from hiercls_plugins.bounds.boxes import Box
from hiercls_plugins.bounds.training.adversary import Adversary
from hiercls_plugins.bounds.training.objective import Step, WorstCase, worst_case
from hiercls_plugins.bounds.training.ramp import Ramp
from hiercls_plugins.bounds.training.regulariser import penalty


@dataclass(frozen=True, eq=False)
class Small:
    """One step of training, over the small boxes."""

    step: Step
    box: Box

    @cached_property
    def features(self) -> Features:
        return self.step.bounded.features(self.box, self.step.statistics)


class SmallBoxes(WorstCase):
    """`WorstCase` with small boxes in the place of the whole ball, for the regulariser too."""

    def __init__(
        self,
        ramp: Ramp,
        domain: Domain,
        adversary: Adversary,
        share: float,
        regularisation: float = 0.0,
        l1: float = 0.0,
    ):
        super().__init__(ramp, domain, regularisation, l1)
        self.adversary = adversary
        self.share = share
        self._last: Small | None = None

    def worst(self, step: Step) -> torch.Tensor:
        return worst_case(self._small(step).features, step.y)

    def penalty(self, step: Step) -> torch.Tensor:
        small = self._small(step)
        return penalty(small.box, small.features.before_relu)

    def _small(self, step: Step) -> Small:
        """Attacked once a step, for both."""
        if self._last is None or self._last.step is not step:
            self._last = Small(step, small_box(self.adversary, step, self.share))
        return self._last


def small_box(adversary: Adversary, step: Step, share: float) -> Box:
    """A box around a point that is attacked among those whose box lies in the ball and in the domain.

    Its radius is `share` times the budget, or less where the domain leaves less: at most half the ball's width.
    """
    radius = step.box.radius.clamp_max(share * step.budget)
    room = Box(step.box.centre, step.box.radius - radius)
    return Box(adversary.point(step, room), radius)
