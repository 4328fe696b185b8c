"""What the smoothing plugin brings."""

from collections.abc import Iterable
from typing import Any

from hiercls.contracts.hookspecs import Spec, hookimpl


@hookimpl
def hiercls_components() -> Iterable[Spec]:
    return (
        Spec(
            "trainer", "gaussian", "hiercls_plugins.smoothing.trainer:Gaussian", "Training on Gaussian noise (Cohen)."
        ),
        Spec(
            "certifier",
            "smoothing",
            "hiercls_plugins.smoothing.certifier:Smoothing",
            "Randomised smoothing: l2 radii from votes under Gaussian noise (Cohen).",
        ),
    )


@hookimpl
def hiercls_commands(app: Any) -> None:
    from hiercls_plugins.smoothing.command_export import export
    from hiercls_plugins.smoothing.commands import analyse

    app.add_command(analyse)
    app.add_command(export)
