"""What this plugin brings."""

from collections.abc import Iterable

from hiercls.contracts.hookspecs import Spec, hookimpl


@hookimpl
def hiercls_components() -> Iterable[Spec]:
    yield Spec("trainer", "ibp", "hiercls_plugins.ibp.trainer:Ibp", "Train on interval bounds (fast IBP).")
    yield Spec(
        "certifier", "ibp", "hiercls_plugins.ibp.certifier:IbpCertifier", "Targeted l_inf radii by interval bounds."
    )
