"""What this plugin brings."""

from collections.abc import Iterable

from hiercls.contracts.hookspecs import Spec, hookimpl


@hookimpl
def hiercls_components() -> Iterable[Spec]:
    yield Spec(
        "certifier",
        "exact-linear",
        "hiercls_plugins.exact_linear.certifier:ExactLinear",
        "Exact targeted radii of linear networks, in any norm.",
    )
