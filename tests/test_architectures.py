"""Architectures: the networks that their papers name, in a form that bounds can trace."""

import pytest
import torch
from torch import nn

from hiercls.words.errors import ConfigurationError
from hiercls_plugins.architectures.components import Cnn7, CnnSmall, Linear, Mlp, Normalize, ResNet20, ResNet110

SMALL_IMAGE = (3, 8, 8)
ALL = [Linear(), Mlp(hidden=(7, 5)), CnnSmall(), CnnSmall(batch_norm=False), Cnn7(width=16), ResNet20(width=2)]


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("architecture", ALL, ids=repr)
def test_a_network_maps_a_view_to_its_outputs_and_can_be_traced(architecture):
    network = architecture.build(SMALL_IMAGE, 4).eval()
    x = torch.rand(5, *SMALL_IMAGE)
    traced = torch.fx.symbolic_trace(network)
    assert network(x).shape == (5, 4)
    assert torch.equal(traced(x), network(x))


@pytest.mark.parametrize("architecture", ALL, ids=repr)
def test_a_state_dict_is_the_whole_state(architecture):
    architecture = architecture.model_copy(update={"normalize": Normalize(mean=(0.5,), std=(0.25,))})
    torch.manual_seed(0)
    first = architecture.build(SMALL_IMAGE, 4).eval()
    second = architecture.build(SMALL_IMAGE, 4).eval()
    second.load_state_dict(first.state_dict())
    x = torch.rand(5, *SMALL_IMAGE)
    assert torch.equal(first(x), second(x))


def test_the_small_network_has_the_published_number_of_parameters():
    assert parameters(CnnSmall().build((1, 28, 28), 2)) == 260_274
    assert parameters(CnnSmall(batch_norm=False).build((1, 28, 28), 2)) == 260_274 - 2 * (16 + 32 + 160)
    wide = CnnSmall(maps=(32, 64), width=76).build((1, 28, 28), 10)
    by_hand = 32 * 17 + 64 * (32 * 16 + 1) + 76 * (64 * 49 + 1) + 10 * 77 + 2 * (32 + 64 + 76)
    assert parameters(wide) == by_hand == 272_902


def test_the_seven_layer_network_has_five_convolutions_and_two_dense_layers():
    network = Cnn7().build((3, 32, 32), 10)
    convolutions = [layer for layer in network if isinstance(layer, nn.Conv2d)]
    assert [(layer.out_channels, layer.stride[0]) for layer in convolutions] == [
        (64, 1),
        (64, 1),
        (128, 2),
        (128, 1),
        (128, 1),
    ]
    dense = [layer for layer in network if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in dense] == [(128 * 16 * 16, 512), (512, 10)]
    assert len([layer for layer in network if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]) == 6


@pytest.mark.parametrize(("architecture", "depth"), [(ResNet20(), 20), (ResNet110(), 110)])
def test_a_residual_network_has_the_depth_of_its_name(architecture, depth):
    network = architecture.build((3, 32, 32), 10)
    counted = [
        m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d) and getattr(m, "kernel_size", 3) != (1, 1)
    ]
    assert len(counted) == depth


def test_the_residual_network_has_the_published_number_of_parameters():
    # 269,722 with padded shortcuts (He et al. 2016), plus two projections with their batch norms.
    assert parameters(ResNet20().build((3, 32, 32), 10)) == 269_722 + 16 * 32 + 32 * 64 + 2 * (32 + 64)


def test_a_residual_block_adds_its_input():
    network = ResNet20().build((1, 8, 8), 2).eval()
    block = network[3]
    x = torch.rand(2, 16, 8, 8)
    assert torch.allclose(block(x), (block.second(block.first(x)) + x).relu())


def test_normalizing_happens_inside_the_network():
    torch.manual_seed(0)
    plain = Linear().build(SMALL_IMAGE, 2)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    normal = Linear(normalize=Normalize(mean=mean, std=std)).build(SMALL_IMAGE, 2)
    normal[-1].load_state_dict(plain[-1].state_dict())
    x = torch.rand(4, *SMALL_IMAGE)
    moved = torch.stack([(x[:, k] - mean[k]) / std[k] for k in range(3)], dim=1)
    assert torch.allclose(normal(x), plain(moved), atol=1e-6)
    assert parameters(normal) == parameters(plain)


def test_a_linear_network_is_one_matrix_even_of_a_vector():
    network = Linear(normalize=Normalize(mean=(0.0,), std=(2.0,))).build((6,), 3)
    x = torch.rand(4, 6)
    assert torch.allclose(network(x), x / 2 @ network[-1].weight.T + network[-1].bias, atol=1e-6)


@pytest.mark.parametrize(
    ("architecture", "shape", "message"),
    [
        (CnnSmall(), (10,), r"needs a view of \(channels, height, width\), found \(10,\)"),
        (CnnSmall(), (1, 3, 3), "images of 3x3 are too small"),
        (ResNet20(), (1, 30, 32), "needs sides that 4 divides, found 30x32"),
        (Mlp(normalize=Normalize(mean=(0.0, 0.0), std=(1.0,))), (3, 4, 4), "normalize.mean: found 2 values for 3"),
    ],
)
def test_a_view_that_does_not_fit_is_told(architecture, shape, message):
    with pytest.raises(ConfigurationError, match=message):
        architecture.build(shape, 2)
