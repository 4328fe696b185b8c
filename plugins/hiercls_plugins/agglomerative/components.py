"""The builder and its options."""

from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from hiercls.contracts.components import Grown, Task, TreeBuilder
from hiercls.contracts.context import Context

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch


class Agglomerative(TreeBuilder):
    """Merge the labels whose rows of a network's last layer lie nearest, two at a time, up to the root.

    The trees of Wan et al. 2021 (neural-backed decision trees). Every node has two children; `truncate` makes
    shallower trees of them.

    Attributes:
        of: the named flat network, one output a label.
        linkage: the distance between two clusters of rows.
        metric: the distance between two rows; ward needs l2.
    """

    of: str
    linkage: Literal["ward", "average", "complete", "single"] = "ward"
    metric: Literal["l2", "cosine"] = "l2"

    @model_validator(mode="after")
    def _ward_is_euclidean(self) -> "Agglomerative":
        if self.linkage == "ward" and self.metric != "l2":
            raise ValueError(f"ward linkage needs the l2 metric, found {self.metric}")
        return self

    def needs(self) -> tuple[str, ...]:
        return (self.of,)

    def build(
        self, labels: tuple[str, ...], networks: "Mapping[str, torch.nn.Module]", held_out: Task, context: Context
    ) -> Grown:
        from hiercls_plugins.agglomerative.clustering import clustered, last_rows

        return clustered(labels, last_rows(networks[self.of], len(labels), self.of), self.linkage, self.metric)
