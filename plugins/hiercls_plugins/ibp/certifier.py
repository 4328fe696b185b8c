"""The ibp certifier."""

from typing import TYPE_CHECKING, ClassVar

from hiercls.contracts.context import Context
from hiercls.values.heads import Head
from hiercls_plugins.bounds.certifier import BoundCertifier

if TYPE_CHECKING:
    import torch

    from hiercls.contracts.provers import Prover


class IbpCertifier(BoundCertifier):
    """Targeted l_inf radii by interval bounds (Gowal et al. 2018).

    The largest tested budget whose box excludes a child. The bounds enclose both the real-valued network and the one
    that runs in float32.
    """

    revision: ClassVar[int] = 3

    def deploy(self, network: "torch.nn.Module", heads: tuple[Head, ...], view: str, context: Context) -> "Prover":
        from hiercls_plugins.ibp.prover import IntervalProver

        return IntervalProver(network, heads, view, context, self.search(context.threat))
