"""The options of randomised smoothing."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from hiercls.contracts.components import Certifier
from hiercls.contracts.context import Context
from hiercls.values.heads import Head
from hiercls.words.norms import L2, Norm
from hiercls.words.threats import Threat

if TYPE_CHECKING:
    import torch

    from hiercls.contracts.provers import Prover


class Smoothing(Certifier):
    """Certify the majority vote of a network under Gaussian noise (Cohen et al. 2019).

    Attributes:
        sigma: standard deviation of the noise, in units of the view.
        draws: draws that estimate the radii of one input.
        select: draws that name the candidates of one input.
        predict: draws that test a candidate when an input is classified.
        audit: draws that test a candidate when an attack claims a flip.
        column: the bound that gives the radii. one-sided: Phi^-1(pA); two-sided: also bounds the runner-up.
        tile: draws in one forward pass, all of one input.
        precision: arithmetic inside the network; noise is always drawn and added in float32.
    """

    norm: ClassVar[Norm] = L2
    random: ClassVar[bool] = True

    sigma: float = Field(gt=0, allow_inf_nan=False)
    draws: int = Field(default=100_000, gt=0)
    select: int = Field(default=100, gt=0)
    predict: int = Field(default=1_000, gt=0)
    audit: int = Field(default=10_000, gt=0)
    column: Literal["one-sided", "two-sided"] = "one-sided"
    tile: int = Field(default=500, gt=0)
    precision: Literal["float32", "bf16"] = "float32"

    def arithmetic(self, device: str) -> Mapping[str, str]:
        import torch

        from hiercls.values.draws import generator_name

        found = torch.device(device)
        return {
            "device": found.type,
            "dtype": self.precision,
            "tile": str(self.tile),
            "folding": "convolution-batch-norm where the network can be traced",
            "generator": generator_name(found),
        }

    def warnings(self, threat: Threat, alpha: float) -> tuple[str, ...]:
        """What these options cannot prove, in one sentence each: budgets above the largest possible radius."""
        from hiercls_plugins.smoothing.statistics import cap, smallest_draws

        level = self._level(alpha)
        needed = smallest_draws(level)
        if self.draws < needed:
            return (f"smoothing.draws: {self.draws} draws certify nothing at alpha {alpha:g}; take at least {needed}",)
        largest = cap(self.sigma, self.draws, level)
        return tuple(
            f"threat.budgets: {budget:g} is above {largest:.3f}, the largest l2 radius that sigma {self.sigma:g} "
            f"and {self.draws} draws can certify at alpha {alpha:g}; take a larger sigma or more draws"
            for budget in threat.budgets
            if budget > largest
        )

    def deploy(self, network: "torch.nn.Module", heads: tuple[Head, ...], view: str, context: Context) -> "Prover":
        from hiercls_plugins.smoothing.engine import Smoothed
        from hiercls_plugins.smoothing.votes import NetworkVotes

        return Smoothed(NetworkVotes(network, self, view, context), heads, self, context.alpha)

    def _level(self, alpha: float) -> float:
        return alpha if self.column == "one-sided" else 0.9 * alpha
