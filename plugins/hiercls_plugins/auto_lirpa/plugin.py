"""What this plugin brings."""

from collections.abc import Iterable

from hiercls.contracts.hookspecs import Spec, hookimpl
from hiercls_plugins.auto_lirpa.package import AUTO_LIRPA


@hookimpl
def hiercls_components() -> Iterable[Spec]:
    yield Spec(
        "certifier",
        "auto-lirpa",
        "hiercls_plugins.auto_lirpa.certifier:AutoLirpa",
        "Targeted l_inf radii by auto_LiRPA (IBP, CROWN-IBP, CROWN, alpha-CROWN).",
        packages=(AUTO_LIRPA,),
    )
