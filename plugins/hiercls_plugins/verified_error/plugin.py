"""What this plugin brings."""

from collections.abc import Iterator

from hiercls.contracts.hookspecs import Spec, hookimpl


@hookimpl
def hiercls_components() -> Iterator[Spec]:
    yield Spec(
        "metric",
        "verified-error",
        "hiercls_plugins.verified_error.components:VerifiedError",
        "Natural and verified error, overall and between groups.",
    )
