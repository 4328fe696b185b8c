"""What this plugin brings."""

from collections.abc import Iterable

from hiercls.contracts.hookspecs import Spec, hookimpl


@hookimpl
def hiercls_components() -> Iterable[Spec]:
    yield Spec("trainer", "igrp", "hiercls_plugins.igrp.trainer:Igrp", "One flat network, robust by the tree's levels.")
    yield Spec(
        "trainer", "igrp-ubs", "hiercls_plugins.igrp.trainer:IgrpUbs", "The same, with upper bound scaling (UBS)."
    )
