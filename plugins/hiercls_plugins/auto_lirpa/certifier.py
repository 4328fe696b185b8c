"""The auto-lirpa certifier."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from hiercls.contracts.components import Certifier
from hiercls.contracts.context import Context
from hiercls.values.heads import Head
from hiercls.words.norms import LINF, Norm

if TYPE_CHECKING:
    import torch

    from hiercls.contracts.provers import Prover

ITERATIONS = 20


class AutoLirpa(Certifier):
    """Targeted l_inf radii by the bounds of auto_LiRPA (Xu et al. 2020, 2021), for graphs and bounds ibp lacks.

    Each radius is the largest tested budget whose box excludes a child. The bounds enclose the real-valued network,
    as far as float64 goes: they are not rounded outward. What float32 errs in the deployed network is not bounded, as
    the ibp certifier bounds it. In its place a margin between two outputs counts only above 2e-5 times the largest
    absolute output at the input, and an input at which the deployed network strays from the real-valued one by more
    than half of that has radius 0. Before the first claim the bounds are tried on random boxes, and refused where an
    output lies outside.

    Attributes:
        bound: ibp; crown-ibp, linear bounds whose inner boxes are ibp's; crown, whose inner boxes are linear bounds
            too; alpha-crown, whose slopes are optimised for each input. All but ibp keep the better of ibp and
            themselves, margin by margin.
        iterations: steps of the optimisation, for alpha-crown alone; 20 if none are named.
        convolutions: how linear bounds go through them, with the same result: as a matrix, or as patches, some four
            times faster under crown, which know fewer operations (no dilation, no groups, no normalised input).
        rows: inputs that are bounded at once, a divisor of 256; fewer need less memory.
        smallest: radii below it are reported as 0, in units of the view.
        largest: no larger radius is looked for.
        precision: how far, relatively, a radius may lie below a budget that failed.
    """

    norm: ClassVar[Norm] = LINF
    uses_budgets: ClassVar[bool] = True

    bound: Literal["ibp", "crown-ibp", "crown", "alpha-crown"] = "crown-ibp"
    iterations: int | None = Field(default=None, ge=1)
    convolutions: Literal["matrix", "patches"] = "matrix"
    rows: int = Field(default=16, ge=1, le=256)
    smallest: float = Field(default=1e-4, gt=0, allow_inf_nan=False)
    largest: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    precision: float = Field(default=0.002, ge=1e-6, le=1)

    @model_validator(mode="after")
    def _options_mean_something(self) -> "AutoLirpa":
        if not self.smallest < self.largest:
            raise ValueError(f"smallest ({self.smallest:g}) must lie below largest ({self.largest:g})")
        if self.iterations is not None and self.bound != "alpha-crown":
            raise ValueError(f"iterations are those of alpha-crown; {self.bound} optimises nothing")
        if self.convolutions != "matrix" and self.bound == "ibp":
            raise ValueError(f"convolutions: {self.convolutions} is for linear bounds; ibp uses neither")
        if 256 % self.rows:
            raise ValueError(f"rows ({self.rows}) must divide 256, the inputs of a tile")
        return self

    def arithmetic(self, device: str) -> Mapping[str, str]:
        from hiercls.contracts.pointwise import TILE

        return {
            "device": device.split(":")[0],
            "dtype": "float32",
            "bounds": "float64, of the real-valued network",
            "tile": str(TILE),
        }

    def deploy(self, network: "torch.nn.Module", heads: tuple[Head, ...], view: str, context: Context) -> "Prover":
        """A prover of a copy in eval mode; the given network stays as it is.

        Raises:
            PluginError: auto_LiRPA is not there.
        """
        from hiercls_plugins.auto_lirpa.engine import Engine
        from hiercls_plugins.auto_lirpa.package import AUTO_LIRPA
        from hiercls_plugins.auto_lirpa.prover import LirpaProver
        from hiercls_plugins.bounds.search import Search

        AUTO_LIRPA.load()
        search = Search(self.smallest, self.largest, self.precision, context.threat.budgets)
        iterations = self.iterations or ITERATIONS

        def engine(copy: "torch.nn.Module") -> Engine:
            return Engine(copy, self.bound, iterations, self.convolutions)

        return LirpaProver(network, heads, view, context, search, engine, self.rows)
