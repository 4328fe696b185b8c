"""What this plugin brings."""

from collections.abc import Iterable

from hiercls.contracts.hookspecs import Spec, hookimpl


@hookimpl
def hiercls_components() -> Iterable[Spec]:
    trainers = "hiercls_plugins.noise_training.trainers"
    yield Spec("trainer", "smooth-adv", f"{trainers}:SmoothAdv", "Train on attacks of the smoothed classifier (Salman)")
    yield Spec("trainer", "consistency", f"{trainers}:Consistency", "Train noisy copies to agree (Jeong and Shin)")
    yield Spec("trainer", "macer", f"{trainers}:Macer", "Train for a large certified radius (Zhai)")
