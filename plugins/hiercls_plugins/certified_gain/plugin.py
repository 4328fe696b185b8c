"""What this plugin brings."""

from collections.abc import Iterator

from hiercls.contracts.hookspecs import Spec, hookimpl


@hookimpl
def hiercls_components() -> Iterator[Spec]:
    yield Spec(
        "tree-builder",
        "certified-gain",
        "hiercls_plugins.certified_gain.components:CertifiedGain",
        "The tree of the largest certified information gain that a robust network promises.",
    )
