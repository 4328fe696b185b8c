"""A network as the smoothing engine deploys it: folded where that changes nothing, refused where it would."""

import pytest
import torch
from smoothing_toys import BINARY, FLAT, Convolutional, convolutional_network, deployed, parts, random_images
from torch import nn
from torch.nn.utils import parametrizations

from hiercls.contracts.context import Context
from hiercls.values.draws import Purpose
from hiercls.values.heads import restricted
from hiercls.values.views import Inputs
from hiercls.words.errors import ConfigurationError
from hiercls_plugins.smoothing.certifier import Smoothing

images, convolutional = random_images, convolutional_network


def test_folding_keeps_the_function_and_the_given_network(convolutional, images):
    state = {name: value.clone() for name, value in convolutional.train().state_dict().items()}
    prover = deployed(convolutional, FLAT)
    assert convolutional.training
    assert all(torch.equal(value, state[name]) for name, value in convolutional.state_dict().items())
    network = prover.votes.passes.network
    kept = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(kept) == 2, "a convolution that is called twice or read twice keeps its batch norm"
    x = images.views["image"]
    assert torch.allclose(network(x), convolutional.eval()(x), atol=1e-5)
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_a_network_that_cannot_be_traced_is_deployed_as_it_is(images):
    class Branching(Convolutional):
        def forward(self, x):
            return super().forward(x) if float(x.sum()) == float(x.sum()) else x

    network = Branching().eval()
    x = images.views["image"]
    assert torch.equal(deployed(network, FLAT).votes.passes.network(x), network(x))


class Reading(nn.Module):
    """A convolution whose weights are also read by hand."""

    def __init__(self, convolution):
        super().__init__()
        self.convolution, self.norm = convolution, nn.BatchNorm2d(3)

    def forward(self, x):
        return self.norm(self.convolution(x)).mean(dim=(2, 3)) + self.convolution.weight.mean()


class Building(nn.Module):
    """A forward pass that makes a module of its own, which torch.fx refuses by a NameError."""

    def forward(self, x):
        return nn.Flatten()(x)


def hooked(convolution):
    convolution.register_forward_hook(lambda module, given, found: 2 * found)
    return convolution


@pytest.mark.parametrize(
    "network",
    [
        lambda: Reading(nn.Conv2d(1, 3, 2)),
        lambda: nn.Sequential(hooked(nn.Conv2d(1, 3, 2)), nn.BatchNorm2d(3), nn.Flatten()),
        lambda: nn.Sequential(nn.Conv2d(1, 3, 2), hooked(nn.BatchNorm2d(3)), nn.Flatten()),
        lambda: nn.Sequential(parametrizations.spectral_norm(nn.Conv2d(1, 3, 2)), nn.BatchNorm2d(3), nn.Flatten()),
        Building,
    ],
    ids=["weights read by hand", "hook on a convolution", "hook on a batch norm", "parametrization", "own modules"],
)
def test_what_folding_would_change_or_fail_on_is_deployed_as_it_is(network):
    made = network().train()
    x = torch.randn(50, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    made(3 * x + 1)  # statistics that are not 0 and 1
    made.eval()
    assert torch.allclose(deployed(made, BINARY).votes.passes.network(x), made(x), atol=1e-5)


def test_batch_statistics_are_refused():
    network = nn.Sequential(nn.Linear(1, 2), nn.BatchNorm1d(2, track_running_stats=False))
    with pytest.raises(ConfigurationError, match="batch norm '1' keeps no running statistics"):
        deployed(network, BINARY)


def test_two_batch_norms_in_a_row_are_both_kept(images):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(3))
    x = images.views["image"]
    network(x)
    for norm_layer in (network[1], network[2]):
        nn.init.uniform_(norm_layer.running_mean, 0.5, 1.0)
        nn.init.uniform_(norm_layer.running_var, 0.5, 2.0)
    prover = deployed(network, restricted(parts([0], [1], [2])))
    assert torch.allclose(prover.votes.passes.network(x), network.eval()(x), atol=1e-5)


class Branching(nn.Module):
    """Another function for anything that is no tensor, as the proxies of a trace are."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(1, 2, 2)

    def forward(self, x):
        return self.convolution(-x if isinstance(x, torch.Tensor) else x).flatten(1)


def test_a_network_that_a_trace_changes_is_refused():
    head = restricted(parts({0}, {1}))
    prover = Smoothing(sigma=0.5, tile=100).deploy(Branching(), (head,), "image", Context())
    with pytest.raises(ConfigurationError, match=r"as torch\.fx traces it, the network answers otherwise"):
        prover.decide(Inputs(torch.tensor([0]), {"image": torch.full((1, 1, 2, 2), 9.0)}), Purpose.SELECT)
