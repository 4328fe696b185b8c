"""The igrp and igrp-ubs trainers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, model_validator

from hiercls.contracts.components import FLAT_ALONE, Task, misfit
from hiercls.words.errors import ConfigurationError
from hiercls_plugins.bounds.training.component import BoundTrainer

if TYPE_CHECKING:
    from hiercls_plugins.bounds.training.objective import WorstCase
    from hiercls_plugins.bounds.training.ramp import Ramp


class Igrp(BoundTrainer):
    """Fit a flat network whose labels are the more robust against each other the earlier the tree parts them.

    Inter-group robustness prioritised training (Wang et al. 2021). For every level of the tree one cross-entropy of
    the worst margins over the labels that part from the truth at that level, at that level's budget, with margin 0
    for all others; bounds by CROWN-IBP with loss fusion, as the crown-ibp trainer has them. Budget 0 means the clean
    margins.

    Attributes:
        eps: the budget at the root.
        inner: the budgets of the levels below; the last one serves all deeper levels. None is above the one before.
        beta: the weight of CROWN-IBP at the end of the ramp.
        start_beta: that weight at the start of the ramp. With 0 at both ends interval bounds alone are computed, at
            less than half the cost.
    """

    uses_tree: ClassVar[bool] = True
    flat_alone: ClassVar[bool] = True
    best_case: ClassVar[bool] = False

    inner: tuple[float, ...] = Field(default=(0.0,), min_length=1)
    beta: float = Field(default=0.0, ge=0, le=1)
    start_beta: float = Field(default=1.0, ge=0, le=1)

    @model_validator(mode="after")
    def _parents_are_as_robust(self) -> "Igrp":
        budgets = (self.eps, *self.inner)
        for level, (parent, child) in enumerate(zip(budgets, budgets[1:], strict=False), start=1):
            if not 0 <= child <= parent:
                raise ValueError(
                    f"the budget {child:g} of level {level} must lie between 0 and its parents' {parent:g}"
                )
        return self

    def objective(self, ramp: "Ramp", task: Task) -> "WorstCase":
        from hiercls_plugins.igrp.objective import GroupedWorstCase, parting_levels

        if task.tree is None or misfit(self, task.parts, len(task.tree.labels)):
            raise ConfigurationError(f"igrp: {FLAT_ALONE}")
        levels = parting_levels(task.tree, [min(part) for part in task.parts], len(self.inner))
        budgets = tuple(budget / self.eps for budget in (self.eps, *self.inner))
        betas = self.start_beta, self.beta
        return GroupedWorstCase(ramp, task.domain, self.regularisation, self.l1, betas, levels, budgets, self.best_case)

    def certifier(self) -> Mapping[str, Mapping[str, Any]]:
        return {"crown-ibp": {}}


class IgrpUbs(Igrp):
    """IGRP with upper bound scaling (Wang et al. 2021): margins of the other levels are their best case, not 0.

    So a label that loses to the truth anyway does not push, and one that wins is not forgotten.
    """

    best_case: ClassVar[bool] = True
