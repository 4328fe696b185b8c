"""What this plugin brings."""

from collections.abc import Iterator

from hiercls.contracts.hookspecs import Spec, hookimpl


@hookimpl
def hiercls_components() -> Iterator[Spec]:
    yield Spec("trainer", "standard", "hiercls_plugins.standard.components:Standard", "Cross entropy on clean inputs.")
