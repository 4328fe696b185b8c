"""What this plugin brings."""

from collections.abc import Iterator

from hiercls.contracts.hookspecs import Spec, hookimpl

_HERE = "hiercls_plugins.architectures.components"


@hookimpl
def hiercls_components() -> Iterator[Spec]:
    yield Spec("architecture", "linear", f"{_HERE}:Linear", "One affine layer.")
    yield Spec("architecture", "mlp", f"{_HERE}:Mlp", "Dense layers with ReLU.")
    yield Spec(
        "architecture", "cnn-small", f"{_HERE}:CnnSmall", "The 4-layer network of the verifiable-training papers."
    )
    yield Spec("architecture", "cnn7", f"{_HERE}:Cnn7", "The 7-layer network of fast IBP, with batch norm.")
    yield Spec("architecture", "resnet8", f"{_HERE}:ResNet8", "The 8-layer residual network for 32x32 images.")
    yield Spec("architecture", "resnet20", f"{_HERE}:ResNet20", "The 20-layer residual network for 32x32 images.")
    yield Spec("architecture", "resnet110", f"{_HERE}:ResNet110", "The 110-layer residual network for 32x32 images.")
