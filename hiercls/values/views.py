"""Inputs: named views of one batch of examples."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hiercls.values.labels import Node
from hiercls.words.errors import DataError, OutsideDomain
from hiercls.words.threats import Domain

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Inputs:
    """N examples.

    Attributes:
        index: (N,) int64, each example's place in its split: the name under which its noise is drawn.
        views: each view, (N, ...) float32 in raw units.
        allowed: (N, L) bool, the labels that a trusted view still allows; None allows all.
        allowed_view: the view that gives `allowed`.
    """

    index: "torch.Tensor"
    views: Mapping[str, "torch.Tensor"]
    allowed: "torch.Tensor | None" = None
    allowed_view: str | None = None

    def __post_init__(self) -> None:
        count = len(self.index)
        if any(len(view) != count for view in self.views.values()):
            raise DataError("inputs: the views differ in their number of examples")
        if self.allowed is not None and not bool(self.allowed.any(dim=1).all()):
            raise DataError(f"inputs: {self.allowed_view!r} allows no label at all for some example")

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: "slice | torch.Tensor") -> "Inputs":
        """Some of the examples, in the order asked for."""
        views = {name: view[rows] for name, view in self.views.items()}
        allowed = None if self.allowed is None else self.allowed[rows]
        return replace(self, index=self.index[rows], views=views, allowed=allowed)

    def with_view(self, name: str, x: "torch.Tensor") -> "Inputs":
        return replace(self, views={**self.views, name: x})

    def allowed_children(self, children: tuple[Node, ...]) -> "torch.Tensor | None":
        """(N, children) bool: the children that hold an allowed label; None allows all."""
        if self.allowed is None:
            return None
        import torch

        return torch.stack([self.allowed[:, sorted(child)].any(dim=1) for child in children], dim=1)


def require_domain(x: "torch.Tensor", domain: Domain, where: str) -> None:
    """Refuse inputs that are not finite or lie outside the declared domain.

    Raises:
        OutsideDomain: with the range found and the range declared.
    """
    if not bool(x.isfinite().all()):
        raise OutsideDomain(f"{where}: an input is not finite")
    if not domain.bounded or x.numel() == 0:
        return
    low, high = float(x.min()), float(x.max())
    if low < domain.lower or high > domain.upper:
        raise OutsideDomain(f"{where}: inputs lie in [{low:g}, {high:g}], outside the declared domain {domain}")
    if domain.kind == "grid":
        steps = (x.double() - domain.lower) * (domain.levels / (domain.upper - domain.lower))
        if float((steps - steps.round()).abs().max()) > 1e-4:
            raise OutsideDomain(f"{where}: inputs do not lie on the declared grid {domain}")
