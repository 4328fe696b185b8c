"""What this plugin brings."""

from collections.abc import Iterable

from hiercls.contracts.hookspecs import Spec, hookimpl


@hookimpl
def hiercls_components() -> Iterable[Spec]:
    yield Spec("trainer", "crown-ibp", "hiercls_plugins.crown_ibp.trainer:CrownIbp", "Train on CROWN-IBP bounds.")
    yield Spec(
        "certifier",
        "crown-ibp",
        "hiercls_plugins.crown_ibp.certifier:CrownIbpCertifier",
        "Targeted l_inf radii by interval and linear bounds, the better of both.",
    )
