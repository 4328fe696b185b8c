"""What this plugin brings."""

from collections.abc import Iterator

from hiercls.contracts.hookspecs import Spec, hookimpl


@hookimpl
def hiercls_components() -> Iterator[Spec]:
    yield Spec(
        "tree-builder",
        "agglomerative",
        "hiercls_plugins.agglomerative.components:Agglomerative",
        "A tree from clustering the last layer's weight rows.",
    )
