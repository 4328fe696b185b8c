"""What this plugin brings."""

from collections.abc import Iterable

from hiercls.contracts.hookspecs import Spec, hookimpl


@hookimpl
def hiercls_components() -> Iterable[Spec]:
    yield Spec(
        "trainer", "sabr", "hiercls_plugins.sabr.trainer:Sabr", "Train on small boxes around adversarial points."
    )
