"""The architectures and their options."""

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from hiercls.contracts.components import Architecture

if TYPE_CHECKING:
    import torch

Width = Annotated[int, Field(gt=0)]


class Normalize(BaseModel):
    """A first layer (x - mean) / std, one value a channel (or one for all); radii stay in raw units."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: tuple[float, ...] = Field(min_length=1)
    std: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=1)


class Linear(Architecture):
    """One affine layer of all entries."""

    normalize: Normalize | None = None

    def build(self, shape: tuple[int, ...], outputs: int) -> "torch.nn.Module":
        from hiercls_plugins.architectures.plain import dense

        return dense(shape, outputs, (), self.normalize)


class Mlp(Architecture):
    """Dense layers with ReLU between them.

    Attributes:
        hidden: the outputs of each hidden layer.
    """

    hidden: tuple[Width, ...] = (256, 256)
    normalize: Normalize | None = None

    def build(self, shape: tuple[int, ...], outputs: int) -> "torch.nn.Module":
        from hiercls_plugins.architectures.plain import dense

        return dense(shape, outputs, self.hidden, self.normalize)


class CnnSmall(Architecture):
    """Two convolutions of `maps` (4x4, stride 2), one dense layer of `width`, and the outputs.

    By default the small network of Gowal et al. 2018 and Zhang et al. 2020 with batch norm after every hidden layer,
    as in Shi et al. 2021: 260,274 parameters on 28x28 grey images with two outputs.

    Attributes:
        maps: the output channels of each convolution.
        width: the outputs of the dense layer.
        batch_norm: whether batch norm follows every hidden layer.
    """

    maps: tuple[Width, Width] = (16, 32)
    width: Width = 160
    batch_norm: bool = True
    normalize: Normalize | None = None

    def build(self, shape: tuple[int, ...], outputs: int) -> "torch.nn.Module":
        from hiercls_plugins.architectures.plain import Convolution, convolutional

        convolutions = [Convolution(maps, 4, 2) for maps in self.maps]
        return convolutional(shape, outputs, convolutions, self.width, self.batch_norm, self.normalize)


class Cnn7(Architecture):
    """Convolutions of 64, 64, 128 (stride 2), 128 and 128 maps (3x3), a dense layer of `width` (Shi et al. 2021).

    Attributes:
        width: the outputs of the dense layer.
        batch_norm: whether batch norm follows every hidden layer.
    """

    width: Width = 512
    batch_norm: bool = True
    normalize: Normalize | None = None

    def build(self, shape: tuple[int, ...], outputs: int) -> "torch.nn.Module":
        from hiercls_plugins.architectures.plain import SEVEN, convolutional

        return convolutional(shape, outputs, SEVEN, self.width, self.batch_norm, self.normalize)


class _ResNet(Architecture):
    """Three stages of residual blocks with `width`, 2 `width` and 4 `width` maps.

    Attributes:
        width: the output channels of the first stage.
    """

    blocks: ClassVar[int]
    width: Width = 16
    normalize: Normalize | None = None

    def build(self, shape: tuple[int, ...], outputs: int) -> "torch.nn.Module":
        from hiercls_plugins.architectures.residual import resnet

        return resnet(shape, outputs, self.blocks, self.width, self.normalize)


class ResNet8(_ResNet):
    """The 8-layer network of the same kind: 78,042 parameters with ten outputs."""

    blocks = 1


class ResNet20(_ResNet):
    """The 20-layer network of He et al. 2016 for 32x32 images, with projection shortcuts."""

    blocks = 3


class ResNet110(_ResNet):
    """The 110-layer network of He et al. 2016 for 32x32 images, with projection shortcuts, as in Cohen et al. 2019."""

    blocks = 18
