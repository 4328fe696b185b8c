"""The loss of inter-group robustness prioritised training."""

from collections.abc import Sequence

import torch

from hiercls.values.labels import LabelTree
from hiercls.words.threats import Domain
from hiercls_plugins.bounds.boxes import around
from hiercls_plugins.bounds.crown import Crown
from hiercls_plugins.bounds.training.fusion import fused_loss, margin_bounds
from hiercls_plugins.bounds.training.objective import Step, WorstCase
from hiercls_plugins.bounds.training.ramp import Ramp


class GroupedWorstCase(WorstCase):
    """One term for each level of a tree.

    Args:
        betas: the weight of CROWN-IBP at the start and at the end of the ramp.
        levels: (K, K) int64, the level at which two labels part; -1 on the diagonal.
        shares: the budget of each level as a share of the root's, from 1 down; 0 for clean margins.
        best_case: whether a term sees the other levels at their best case, instead of at margin 0.
    """

    def __init__(
        self,
        ramp: Ramp,
        domain: Domain,
        regularisation: float,
        l1: float,
        betas: tuple[float, float],
        levels: torch.Tensor,
        shares: Sequence[float],
        best_case: bool,
    ):
        super().__init__(ramp, domain, regularisation, l1)
        self.betas = betas
        self.levels = levels
        self.shares = tuple(shares)
        self.best_case = best_case

    def worst(self, step: Step) -> torch.Tensor:
        levels = self.levels.to(step.y.device)[step.y]
        total = torch.zeros_like(step.logits[0, 0])
        for share in sorted(set(self.shares), reverse=True):
            of_share = [level for level, own in enumerate(self.shares) if own == share]
            total = total + self._terms(step, share, [levels == level for level in of_share])
        return total

    def _terms(self, step: Step, share: float, masks: Sequence[torch.Tensor]) -> torch.Tensor:
        """The terms that share one budget, from one computation of bounds."""
        if share == 0:
            margins = step.logits.gather(1, step.y[:, None]) - step.logits
            return sum((self._plain(margins, margins, mask) for mask in masks), margins.new_zeros(()))
        features = step.features
        if share < 1:
            box = around(step.x, share * step.budget, step.domain)
            features = step.bounded.features(box, step.statistics, keep=True)
        lowest, highest = margin_bounds(features, step.y)
        start, end = self.betas
        beta = start + (end - start) * step.progress
        total = lowest.new_zeros(())
        for mask in masks:
            if beta < 1:
                total = total + (1 - beta) * self._plain(lowest, highest, mask)
            if beta > 0:
                crown = Crown(step.bounded, features, step.statistics)
                rest = self._others(highest, mask).masked_fill(mask, -torch.inf).logsumexp(dim=1)
                total = total + beta * fused_loss(crown, step.y, mask, rest).mean()
        return total

    def _plain(self, lowest: torch.Tensor, highest: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The cross-entropy of a level's lowest margins."""
        return torch.where(mask, -lowest, self._others(highest, mask)).logsumexp(dim=1).mean()

    def _others(self, highest: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The logits, below the truth's, of the labels of other levels; those of the level itself mean nothing."""
        return -highest if self.best_case else torch.zeros_like(highest)


def parting_levels(tree: LabelTree, labels: Sequence[int], deepest: int) -> torch.Tensor:
    """The level of the node at which two labels part, at most `deepest`, (K, K); -1 on the diagonal."""
    found = torch.full((len(labels), len(labels)), -1)
    for node in tree.decisions:
        for child in tree.children(node):
            inside = torch.tensor([label in child for label in labels])
            beside = torch.tensor([label in node - child for label in labels])
            found[inside[:, None] & beside] = min(tree.level(node), deepest)
    return found
