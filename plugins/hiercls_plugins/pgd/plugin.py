"""What this plugin brings."""

from collections.abc import Iterator

from hiercls.contracts.hookspecs import Spec, hookimpl


@hookimpl
def hiercls_components() -> Iterator[Spec]:
    yield Spec("attack", "pgd", "hiercls_plugins.pgd.components:Pgd", "Projected gradient ascent on the margin.")
