"""When an input has had enough draws: the options of `stop`."""

from math import inf, isfinite, nextafter
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, field_validator

from hiercls.words.norms import L2, radius_factor
from hiercls.words.threats import Threat


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Radii(_Options):
    """Which radii are tested.

    Attributes:
        radii: l2 radii, 0 for any radius at all; by default 0 and the threat's budgets.
    """

    radii: tuple[float, ...] | None = None

    @field_validator("radii")
    @classmethod
    def _increasing(cls, radii: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if radii == ():
            raise ValueError("found []; at least one radius would be right")
        if radii is not None and not all(isfinite(radius) and radius >= 0 for radius in radii):
            raise ValueError(f"found {list(radii)}; radii are finite and at least 0")
        return None if radii is None else tuple(sorted({float(radius) for radius in radii}))


class GridStop(_Options):
    """Certify the largest of some radii: an exact group-sequential test."""

    grid: Radii


class ToleranceStop(_Options):
    """Certify the radius itself, within this relative loss against all draws."""

    tolerance: float = Field(ge=0, lt=1)


def _written_short(value: Any) -> Any:
    """`grid` and `{grid: }` stand for `{grid: {}}`."""
    return {"grid": {}} if value in ("grid", {"grid": None}) else value


def _kind(value: Any) -> str | None:
    """Which of the options is meant, by its key, so that only its own mistakes are told."""
    if isinstance(value, GridStop) or (isinstance(value, dict) and "grid" in value):
        return "GridStop"
    if isinstance(value, ToleranceStop) or (isinstance(value, dict) and "tolerance" in value):
        return "ToleranceStop"
    return "fixed" if value == "fixed" else None


_WAYS = "'fixed', 'grid', {grid: {radii: [0.25]}} or {tolerance: 0.05}"

Stop = Annotated[
    Annotated[Literal["fixed"], Tag("fixed")]
    | Annotated[GridStop, Tag("GridStop")]
    | Annotated[ToleranceStop, Tag("ToleranceStop")],
    Discriminator(_kind, custom_error_type="stop", custom_error_message=_WAYS),
    BeforeValidator(_written_short),
]


def goals(options: Radii, threat: Threat, entries: int) -> tuple[float, ...]:
    """The l2 radii to test, increasing: those named, or 0 and what the threat's budgets come to in l2.

    Args:
        entries: of one example, for budgets in another norm: the least l2 radius that serves the budget.
    """
    if options.radii is not None:
        return options.radii
    factor = radius_factor(L2, threat.norm, entries)
    return tuple(sorted({0.0, *(_serving(budget, factor) for budget in threat.budgets)}))


def _serving(budget: float, factor: float) -> float:
    """The least float whose conversion, rounded down, is at least the budget."""
    if factor == 1.0:
        return budget
    radius = budget / factor
    while nextafter(radius * factor, 0.0) < budget:
        radius = nextafter(radius, inf)
    return radius
