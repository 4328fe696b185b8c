"""The crown-ibp certifier."""

from typing import TYPE_CHECKING, ClassVar

from hiercls.contracts.context import Context
from hiercls.values.heads import Head
from hiercls_plugins.bounds.certifier import BoundCertifier

if TYPE_CHECKING:
    import torch

    from hiercls.contracts.provers import Prover


class CrownIbpCertifier(BoundCertifier):
    """Targeted l_inf radii by a cascade of interval bounds and CROWN-IBP (Zhang et al. 2020).

    At every tested budget the interval bounds are asked first, then linear bounds with adaptive and with zero slopes
    for the outputs that are still open: each proof stands alone, and on networks trained with interval bounds no one
    of the three is always the best. Linear bounds need not grow worse with the budget, so a radius is a budget that
    was tested, and `precision` speaks of the neighbouring test that failed.
    """

    revision: ClassVar[int] = 2

    def deploy(self, network: "torch.nn.Module", heads: tuple[Head, ...], view: str, context: Context) -> "Prover":
        from hiercls_plugins.crown_ibp.prover import CrownProver

        return CrownProver(network, heads, view, context, self.search(context.threat))
