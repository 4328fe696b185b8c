"""The options that certifiers by bounds share."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, model_validator

from hiercls.contracts.components import Certifier
from hiercls.words.norms import LINF, Norm

if TYPE_CHECKING:
    from hiercls.words.threats import Threat
    from hiercls_plugins.bounds.search import Search


class BoundCertifier(Certifier):
    """Targeted l_inf radii, each the largest tested budget whose box excludes a child.

    The bounds enclose both the real-valued network and the one that runs in float32: they are computed in
    float64 and widened at every operation by what float32 may err there. Boxes are clipped to the threat's domain.
    The threat's budgets are tested themselves, so that a claim at one of them is not lost between two steps.

    Attributes:
        smallest: radii below it are reported as 0, in units of the view.
        largest: no larger radius is looked for.
        precision: how far, relatively, a radius may lie below the largest one that these bounds prove.
    """

    norm: ClassVar[Norm] = LINF
    uses_budgets: ClassVar[bool] = True

    smallest: float = Field(default=1e-4, gt=0, allow_inf_nan=False)
    largest: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    precision: float = Field(default=0.002, ge=1e-6, le=1)

    @model_validator(mode="after")
    def _range(self) -> Self:
        if not self.smallest < self.largest:
            raise ValueError(f"smallest ({self.smallest:g}) must lie below largest ({self.largest:g})")
        return self

    def warnings(self, threat: "Threat", alpha: float) -> tuple[str, ...]:
        """The budgets of the threat that are never tested."""
        return tuple(
            f"threat.budgets: {budget:g} is above `largest` ({self.largest:g}) of a certifier by bounds, which looks "
            "for no larger radius and proves nothing there; raise `largest`"
            for budget in threat.budgets
            if budget > self.largest
        )

    def arithmetic(self, device: str) -> Mapping[str, str]:
        from hiercls.contracts.pointwise import TILE

        return {"device": device.split(":")[0], "dtype": "float32", "bounds": "float64", "tile": str(TILE)}

    def search(self, threat: "Threat") -> "Search":
        """Where budgets are tested under a threat."""
        from hiercls_plugins.bounds.search import Search

        return Search(self.smallest, self.largest, self.precision, threat.budgets)
