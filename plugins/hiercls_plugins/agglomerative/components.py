"""The builder and its options."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from hiercls.contracts.components import Grown, Task, TreeBuilder
from hiercls.contracts.context import Context

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch


class Agglomerative(TreeBuilder):
    """Merge the labels whose rows of a network's last layer lie nearest, two at a time, up to the root.

    The trees of Wan et al. 2021 (neural-backed decision trees), where every node has two children. With a larger
    arity a node has as many children as it allows: its highest merges are undone until there are that many.

    Attributes:
        of: the named flat network, one output a label.
        linkage: the distance between two clusters of rows.
        metric: the distance between two rows; ward needs l2.
        arity: the largest number of children of a node.
    """

    of: str
    linkage: Literal["ward", "average", "complete", "single"] = "ward"
    metric: Literal["l2", "cosine"] = "l2"
    arity: int = Field(default=2, ge=2)

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

        rows = last_rows(networks[self.of], len(labels), self.of)
        return clustered(labels, rows, self.linkage, self.metric, self.arity)
