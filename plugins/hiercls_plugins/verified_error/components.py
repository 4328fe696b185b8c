"""The metric and its options."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hiercls.contracts.components import Metric
from hiercls.values.labels import LabelTree
from hiercls.words.threats import Threat

if TYPE_CHECKING:
    import torch

    from hiercls.values.certificates import LabelCertificates


class VerifiedError(Metric):
    """Error and verified error, overall and between groups of labels.

    The measures of verifiably trained neural decision trees (Wang et al. 2021). `error`: the answer is not
    exactly the true label. `inter-group error`: it does not lie in the group of the true label. `verified
    error @r`: wrong, or not certified to stay that label within r. `verified inter-group error @r`: in the
    wrong group, or not certified to stay in its group within r. An answer of several labels is wrong, and in
    the right group only if all of them are.

    Attributes:
        groups: a partition of the labels; None for the children of the recipe's root, also for a flat classifier.
    """

    groups: tuple[tuple[str, ...], ...] | None = None

    def measure(
        self, tree: LabelTree, certificates: "LabelCertificates", truth: "torch.Tensor", threat: Threat
    ) -> Mapping[str, float]:
        from hiercls_plugins.verified_error.measures import measured, partition

        return measured(certificates, truth, partition(tree, self.groups), threat.budgets)
