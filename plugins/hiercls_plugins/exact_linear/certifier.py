"""The exact-linear certifier."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from hiercls.contracts.components import Certifier
from hiercls.contracts.context import Context
from hiercls.values.heads import Head
from hiercls.words.errors import ConfigurationError
from hiercls.words.norms import Norm

if TYPE_CHECKING:
    import torch

    from hiercls.contracts.provers import Prover


def _norm(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return Norm.parse(value)
    except ConfigurationError as error:
        raise ValueError(str(error)) from error


NormOption = Annotated[
    Norm, BeforeValidator(_norm), PlainSerializer(str, return_type=str), WithJsonSchema({"type": "string"})
]


class ExactLinear(Certifier):
    """Targeted radii of a network that is one affine map of its flattened input.

    On two classes the radius is the distance to the boundary, |y_1 - y_2| / ||w_1 - w_2||_q with 1/p + 1/q = 1,
    lowered by what float32 may err (a few parts in a million).

    Attributes:
        norm: the norm of the radii, such as linf, l2 or l1; the threat's own by default.
    """

    revision: ClassVar[int] = 3

    norm: NormOption | None = None  # type: ignore[misc, assignment]  # here an option: one value cannot name it

    def arithmetic(self, device: str) -> Mapping[str, str]:
        from hiercls.contracts.pointwise import TILE

        return {"device": device.split(":")[0], "dtype": "float32", "bounds": "float64", "tile": str(TILE)}

    def deploy(self, network: "torch.nn.Module", heads: tuple[Head, ...], view: str, context: Context) -> "Prover":
        from hiercls_plugins.exact_linear.prover import LinearProver

        return LinearProver(network, heads, view, context, self.norm or context.threat.norm)
