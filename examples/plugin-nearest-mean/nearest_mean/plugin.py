"""What this plugin brings."""

from collections.abc import Iterator

from hiercls.contracts.hookspecs import Spec, hookimpl


@hookimpl
def hiercls_components() -> Iterator[Spec]:
    yield Spec("trainer", "nearest-mean", "nearest_mean.trainer:NearestMean", "The class whose mean is nearest.")
