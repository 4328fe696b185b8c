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
    """Error and verified error: overall, between groups of labels, and inside them.

    The measures of verifiably trained neural decision trees (Wang et al. 2021), for trees and flat classifiers
    alike. A verified error @r counts the inputs that are wrong, or not certified within r, in the sense of its name:

    - `error`: the answer is not exactly the true label. `overall verified error`: or not certified to stay it.
    - `inter-group error`: the answer is not in the group of the true label. `verified inter-group error`: or not
      certified to stay in its group. For the root of a tree that is its own radius; for a flat classifier every
      label outside the group must be excluded, by whichever label beats it.
    - `verified intra-group error`: wrong, or not certified, at the splits below the root of more than two labels;
      final splits of two labels are not counted, so that it may lie below the error. A wrong group is wrong here
      too, but the root need not be certified; with `root included` it must, at the same r. A flat classifier is
      held to the same question: its answer does not move between the label sets that these splits tell apart.
      Not measured where `groups` are given that are not the root's children, nor where no such split exists.

    An answer of several labels is wrong, and in the right group only if all of them are. Every split below the root
    is asked for every budget; read the one that it was trained for.

    Attributes:
        groups: a partition of the labels; None for the children of the recipe's root, also for a flat classifier.
    """

    revision = 2

    groups: tuple[tuple[str, ...], ...] | None = None

    def measure(
        self, tree: LabelTree, certificates: "LabelCertificates", truth: "torch.Tensor", threat: Threat
    ) -> Mapping[str, float]:
        from hiercls_plugins.verified_error.measures import measured
        from hiercls_plugins.verified_error.partitions import partition

        return measured(tree, certificates, truth, partition(tree, self.groups), threat.budgets)
