"""The options of randomised smoothing."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from hiercls.contracts.components import Certifier
from hiercls.contracts.context import Context
from hiercls.values.heads import Head
from hiercls.words.norms import L2, Norm
from hiercls.words.threats import Threat
from hiercls_plugins.smoothing.stopping import GridStop, Stop, ToleranceStop, goals

if TYPE_CHECKING:
    import torch

    from hiercls.contracts.provers import Prover

TILE = 500
BLOCK = 100
"""What a first look costs at least."""
PLACES = 40
"""Blocks in a pass where the device is wide enough for many."""

MOST_DRAWS = 10_000_000
"""The most draws for which the rounding errors of every bound are shown (`binomial`, `statistics`)."""

SIGMAS = (1e-30, 1e30)
"""What float32 noise can be scaled by: outside it lies 0, and above it infinity."""


class Smoothing(Certifier):
    """Certify the majority vote of a network under Gaussian noise (Cohen et al. 2019).

    Attributes:
        sigma: standard deviation of the noise, in units of the view.
        draws: the most draws that estimate the radii of one input.
        select: draws that name the candidates of one input.
        predict: draws that test a candidate when an input is classified.
        audit: draws that test a candidate when an attack claims a flip.
        stop: when an input has had enough draws. fixed: after all of them; grid: once it is decided which of some
            radii are certified, `{grid: {radii: [0, 0.25]}}`, by default 0 and the threat's budgets;
            `{tolerance: 0.05}`: once the radius is within 5% of what all draws would give.
        rule: plurality: the child that wins most draws; pairwise: the child that beats every other on most draws.
        column: the bound that gives the radii. one-sided: Phi^-1(pA); two-sided: also bounds the runner-up.
        noise: float64 draws; float32 ones of a CPU, whose cut tails are charged to every bound and test; or grid:
            whole steps of the threat's grid, exact whatever floats do.
        precision: arithmetic inside the network; noise is always added in float32 or wider.
        compiled: whether passes go through torch.compile, which takes its seconds once a network and needs a compiler.
        layout: of images in memory; by default contiguous for fixed draws, else channels-last.
        block: draws of one input that stand together in a pass; by default the tile for fixed draws, else 100.
        tile: draws in one forward pass; by default 500 for fixed draws, else one block on a CPU and 40 elsewhere.
    """

    norm: ClassVar[Norm] = L2
    random: ClassVar[bool] = True
    any_function: ClassVar[bool] = True

    sigma: float = Field(ge=SIGMAS[0], le=SIGMAS[1], allow_inf_nan=False)
    draws: int = Field(default=100_000, gt=0, le=MOST_DRAWS)
    select: int = Field(default=100, gt=0, le=MOST_DRAWS)
    predict: int = Field(default=1_000, gt=0, le=MOST_DRAWS)
    audit: int = Field(default=10_000, gt=0, le=MOST_DRAWS)
    stop: Stop = "fixed"
    rule: Literal["plurality", "pairwise"] = "plurality"
    column: Literal["one-sided", "two-sided"] = "one-sided"
    noise: Literal["float64", "float32", "grid"] = "float64"
    precision: Literal["float32", "bf16"] = "float32"
    compiled: bool = False
    layout: Literal["contiguous", "channels-last"] | None = None
    block: int | None = Field(default=None, gt=0)
    tile: int | None = Field(default=None, gt=0)

    @property
    def uses_budgets(self) -> bool:  # type: ignore[override]
        """Whether the threat's budgets are the radii that are tested."""
        return isinstance(self.stop, GridStop) and self.stop.grid.radii is None

    @model_validator(mode="after")
    def _one_rule_one_column(self) -> Self:
        if self.rule == "pairwise" and self.column == "two-sided":
            raise ValueError(
                "column: two-sided bounds are for the plurality rule; pairwise bounds are one for each pair"
            )
        block, tile = self.shape("cpu")
        if tile % block:
            raise ValueError(
                f"tile: found {tile}; take a multiple of {block}, the draws of one input that stand together"
            )
        return self

    def shape(self, device: str) -> tuple[int, int]:
        """Draws of one input that stand together, and rows of one forward pass, on a kind of device."""
        if self.stop == "fixed":
            block = self.block or self.tile or TILE
            return block, self.tile or block
        block = self.block or min(BLOCK, self.tile or BLOCK)
        return block, self.tile or (block if device == "cpu" else PLACES * block)

    def lays_channels_last(self) -> bool:
        return self.layout == "channels-last" or (self.layout is None and self.stop != "fixed")

    def arithmetic(self, device: str) -> Mapping[str, str]:
        import torch

        from hiercls_plugins.smoothing.sources import generator_of

        found = torch.device(device)
        block, tile = self.shape(found.type)
        return {
            "device": found.type,
            "dtype": self.precision,
            "tile": str(tile),
            **({"block": str(block)} if block != tile else {}),
            **({"layout": "channels-last"} if self.lays_channels_last() else {}),
            **({"compiled": "torch.compile"} if self.compiled else {}),
            "folding": "convolution-batch-norm where the network can be traced",
            "generator": generator_of(self.noise, found),
        }

    def refusal(self, threat: Threat) -> str | None:
        if self.noise == "grid" and threat.domain.kind != "grid":
            return f"noise: grid speaks of inputs on a grid, the threat of inputs in {threat.domain}"
        return None

    def warnings(self, threat: Threat, alpha: float) -> tuple[str, ...]:
        """What these options cannot prove, in one sentence each: radii above the largest possible one."""
        from hiercls_plugins.smoothing.statistics import cap, smallest_draws

        level = self._level(alpha)
        needed = smallest_draws(level)
        if self.draws < needed:
            return (f"smoothing.draws: {self.draws} draws certify nothing at alpha {alpha:g}; take at least {needed}",)
        largest = cap(self.sigma, self.draws, level)
        named = [("threat.budgets", budget) for budget in threat.budgets]
        if isinstance(self.stop, GridStop) and self.stop.grid.radii is not None:
            named += [("smoothing.stop.grid.radii", radius) for radius in self.stop.grid.radii]
        return tuple(
            f"{where}: {radius:g} is above {largest:.3f}, the largest l2 radius that sigma {self.sigma:g} "
            f"and {self.draws} draws can certify at alpha {alpha:g}; take a larger sigma or more draws"
            for where, radius in named
            if radius > largest
        )

    def goals(self, threat: Threat, entries: int) -> tuple[float, ...]:
        """The l2 radii that are tested, increasing; none without a grid."""
        return goals(self.stop.grid, threat, entries) if isinstance(self.stop, GridStop) else ()

    @property
    def tolerance(self) -> float | None:
        return self.stop.tolerance if isinstance(self.stop, ToleranceStop) else None

    def deploy(self, network: "torch.nn.Module", heads: tuple[Head, ...], view: str, context: Context) -> "Prover":
        from hiercls_plugins.smoothing.engine import Smoothed
        from hiercls_plugins.smoothing.votes import NetworkVotes

        return Smoothed(NetworkVotes(network, self, view, context), heads, self, context)

    def _level(self, alpha: float) -> float:
        """The level of the bound on the most draws."""
        alpha = 0.9 * alpha if self.column == "two-sided" else alpha
        return alpha if self.tolerance is None and self.column == "one-sided" or self.stop == "fixed" else 0.5 * alpha
