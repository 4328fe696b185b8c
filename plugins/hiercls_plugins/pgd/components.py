"""The attack and its options."""

from typing import TYPE_CHECKING

from pydantic import Field

from hiercls.contracts.components import Attack, Goal
from hiercls.contracts.context import Context

if TYPE_CHECKING:
    import torch

    from hiercls.contracts.provers import Prover
    from hiercls.values.views import Inputs


class Pgd(Attack):
    """Projected gradient ascent on the margin of the target children over all others.

    Madry et al. 2018 with the margin loss of Carlini and Wagner 2017. Smoothed decisions are climbed through
    the mean over fresh draws at every step.

    Attributes:
        steps: gradient steps of each restart.
        restarts: starts; of several, the first is the clean input and the others are random.
        step: the first step length, as a share of the budget.
        draws: noise draws a step, for smoothed decisions.
    """

    steps: int = Field(default=50, gt=0)
    restarts: int = Field(default=5, gt=0)
    step: float = Field(default=0.25, gt=0)
    draws: int = Field(default=16, gt=0)

    def perturb(
        self, prover: "Prover", inputs: "Inputs", goal: Goal, budget: "torch.Tensor", context: Context
    ) -> "torch.Tensor":
        from hiercls.contracts.ascent import ascend
        from hiercls_plugins.pgd.margin import margin, starts

        view = context.threat.view

        def value(x: "torch.Tensor", step: int) -> "torch.Tensor":
            scores = prover.scores(inputs.with_view(view, x), self.draws, step)[goal.head]
            return margin(scores, goal.targets)

        return ascend(
            value,
            inputs.views[view],
            budget,
            context.threat.norm,
            context.threat.domain,
            steps=self.steps,
            step=self.step,
            restarts=self.restarts,
            generator=starts(inputs, context),
        )
