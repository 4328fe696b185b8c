"""What this plugin brings."""

from collections.abc import Iterator

from hiercls.contracts.hookspecs import Spec, hookimpl

_HERE = "hiercls_plugins.datasets"


@hookimpl
def hiercls_components() -> Iterator[Spec]:
    yield Spec("dataset", "digits", f"{_HERE}.digits:Digits", "scikit-learn's 8x8 digits, shipped with it.")
    yield Spec("dataset", "digits-two-views", f"{_HERE}.digits:DigitsTwoViews", "Digits with a made-up second view.")
    yield Spec("dataset", "fashion-mnist", f"{_HERE}.files:FashionMnist", "Ten kinds of clothing, 28x28 grey.")
    yield Spec("dataset", "cifar10", f"{_HERE}.files:Cifar10", "Ten kinds of things, 32x32 colour, binary version.")
    yield Spec("dataset", "cifar10-jpeg", f"{_HERE}.files:Cifar10Jpeg", "CIFAR-10 re-encoded as JPEG.")
    yield Spec("dataset", "gtsrb", f"{_HERE}.files:Gtsrb", "43 German traffic signs, 32x32 colour.")
    yield Spec("dataset", "image-folder", f"{_HERE}.folder:ImageFolder", "Pictures in one folder a class.")
