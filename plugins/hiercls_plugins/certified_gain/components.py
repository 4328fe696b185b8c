"""The builder and its options."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from hiercls.contracts.components import Grown, Task, TreeBuilder
from hiercls.contracts.context import Context
from hiercls.words.norms import LINF
from hiercls.words.threats import Threat

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch


class CertifiedGain(TreeBuilder):
    """Choose the tree of the largest certified information gain that one robust flat network promises.

    The gain of an input is 1[truth in S] (1 - ln|S| / ln L), S the labels that are not excluded at a budget and L the
    number of labels; what is maximised is its mean over held-out examples and budgets, for nodes restricted from the
    network (`nodes: {all: {restrict: ...}}`) and certified by interval bounds. Such a tree always gives the flat
    answer. On the answer's path a sibling is excluded if every label of it is beaten by some label of the node
    outside it, so that a node excludes less than a node of more children in its place would: the flat classifier's S
    lies inside that of every tree. Its gain is therefore at least as large on every input whose truth it does not
    exclude, and the search is among trees of a given arity, for what a hierarchy is wanted for.

    Local search from several trees: Ward's of the last-layer rows, average linkage of how often two labels are not
    told apart, greedy merging by the gain, and random ones. Steps are subtrees moved to a neighbour of their place,
    then to anywhere else, and, above an arity of 2, levels given up; each is measured exactly. A search ends where
    none gains; with more than 32 labels after 4,000 steps, drawn, of which none did. At one budget the tree costs
    seconds for 10 labels and 6,000 examples, minutes for 43 labels and 2,000.

    Attributes:
        of: the named flat network, one output a label.
        arity: the largest number of children of a node.
        budgets: l_inf budgets at which the gain is measured; by default those of the threat.
        restarts: the number of random trees to start from.
        inputs: the largest number of examples to measure on.
    """

    of: str
    arity: int = Field(default=2, ge=2)
    budgets: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(default=None, min_length=1)
    restarts: int = Field(default=10, ge=0)
    inputs: int = Field(default=6000, ge=1)

    def needs(self) -> tuple[str, ...]:
        return (self.of,)

    def refusal(self, threat: Threat) -> str | None:
        if self.budgets is None and threat.norm != LINF:
            return f"measures l_inf margins, and the threat's budgets are {threat.norm}; give it `budgets` of its own"
        if self.budgets is None and not threat.budgets:
            return "needs budgets; name them in the threat, or as its `budgets`"
        return None

    def build(
        self, labels: tuple[str, ...], networks: "Mapping[str, torch.nn.Module]", held_out: Task, context: Context
    ) -> Grown:
        from hiercls_plugins.certified_gain.building import grown

        return grown(self, labels, networks[self.of], held_out, context)
