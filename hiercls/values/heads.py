"""Which outputs of a network mean each child of a node."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from hiercls.values.labels import Node

if TYPE_CHECKING:
    import torch

ABSTAIN = -1
"""The decision of a node that does not decide."""

UNREACHED = -2
"""The decision of a node that an input does not come to."""


@dataclass(frozen=True)
class Head:
    """One decision that a network serves: child k is chosen when one of `outputs[k]` is the largest.

    The decision is the argmax over all outputs of the children, ties to the lowest output, never an
    argmax over all outputs of the network, so that a node restricted from a flat network is a
    classifier of its own. A retrained node has one output a child; a restricted node a subset of the
    outputs of a flat network; a grouped one several outputs a child.

    A decision is named by its children: a flat classifier and the root of a tree decide on the same
    set of labels, yet not the same question.
    """

    children: tuple[Node, ...]
    outputs: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        flat = [output for group in self.outputs for output in group]
        if len(self.children) != len(self.outputs) or not all(self.outputs) or len(set(flat)) < len(flat):
            raise ValueError("a head needs one or more outputs a child, and no output for two children")
        if list(self.children) != sorted(self.children, key=min):
            raise ValueError("the children of a head are ordered by their smallest label")

    @cached_property
    def node(self) -> Node:
        return frozenset().union(*self.children)

    @cached_property
    def allowed(self) -> tuple[int, ...]:
        """The outputs that mean some child, in ascending order."""
        return tuple(sorted(output for group in self.outputs for output in group))

    @cached_property
    def child_of(self) -> tuple[int, ...]:
        """The child that each of `allowed` means."""
        owner = {output: child for child, group in enumerate(self.outputs) for output in group}
        return tuple(owner[output] for output in self.allowed)

    def only(self, children: Sequence[int]) -> "Head":
        """The head that decides among some of the children."""
        return Head(tuple(self.children[k] for k in children), tuple(self.outputs[k] for k in children))

    def decide(self, logits: "torch.Tensor") -> "torch.Tensor":
        """The chosen child of each row.

        Args:
            logits: (N, outputs of the network).

        Returns:
            (N,) int64; ABSTAIN where an output that means a child is not finite. Where one child is left, it is
            chosen whatever the network computes.
        """
        import torch

        if len(self.children) == 1:
            return torch.zeros(len(logits), dtype=torch.int64, device=logits.device)

        rows = logits[:, torch.tensor(self.allowed, device=logits.device)]
        child = torch.tensor(self.child_of, device=logits.device)[rows.argmax(dim=1)]
        return torch.where(rows.isfinite().all(dim=1), child, ABSTAIN)

    def scores(self, logits: "torch.Tensor") -> "torch.Tensor":
        """The largest output of each child, (N, children), differentiable."""
        import torch

        return torch.stack([logits[:, list(group)].amax(dim=1) for group in self.outputs], dim=1)


def retrained(children: Sequence[Node]) -> Head:
    """The head of a network with one output a child."""
    ordered = tuple(sorted(children, key=min))
    return Head(ordered, tuple((k,) for k in range(len(ordered))))


def restricted(children: Sequence[Node]) -> Head:
    """The head of a node that a flat network, one output a label, decides among its own labels."""
    ordered = tuple(sorted(children, key=min))
    return Head(ordered, tuple(tuple(sorted(child)) for child in ordered))
