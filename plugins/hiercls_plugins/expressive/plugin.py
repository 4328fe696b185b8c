"""What this plugin brings."""

from collections.abc import Iterable

from hiercls.contracts.hookspecs import Spec, hookimpl


@hookimpl
def hiercls_components() -> Iterable[Spec]:
    trainers = "hiercls_plugins.expressive.trainers"
    yield Spec("trainer", "mtl-ibp", f"{trainers}:MtlIbp", "Train on a mean of the IBP loss and the adversarial loss.")
    yield Spec("trainer", "cc-ibp", f"{trainers}:CcIbp", "Train on a mean of IBP margins and adversarial margins.")
    yield Spec(
        "trainer", "exp-ibp", f"{trainers}:ExpIbp", "Train on a geometric mean of the IBP and adversarial losses."
    )
