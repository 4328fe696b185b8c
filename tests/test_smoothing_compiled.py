"""Passes through torch.compile: the same decisions as a walk by hand, other keys, and a word where none is found."""

import shutil

import pytest
import torch
from torch import nn

from hiercls.contracts.context import Context
from hiercls.contracts.provers import Claim
from hiercls.values.draws import Purpose, standard_normal
from hiercls.values.heads import restricted
from hiercls.values.views import Inputs
from hiercls.words.errors import DeviceError
from hiercls_plugins.smoothing.certifier import Smoothing

needs_a_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU")
HEAD = restricted([frozenset({0}), frozenset({1}), frozenset({2})])


class Squares(nn.Module):
    """Three outputs of one convolution whose integer weights make every product of small integers exact."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(1, 3, 2, bias=False)
        with torch.no_grad():
            self.convolution.weight.copy_(torch.arange(12.0).reshape(3, 1, 2, 2) - 6)

    def forward(self, x):
        return self.convolution(x).flatten(1)


def deployed(network, **options):
    options = {"sigma": 0.5, "draws": 500, "tile": 100, **options}
    return Smoothing(**options).deploy(network, (HEAD,), "image", Context(seed=3))


@needs_a_compiler
def test_compiled_passes_count_what_a_convolution_by_hand_counts():
    x = torch.tensor([[[0.25, 0.5], [0.75, 1.0]]])
    inputs = Inputs(torch.tensor([4]), {"image": x[None]})
    network = Squares()
    prover = deployed(network, compiled=True)
    prover.votes.passes.network = None
    found = next(iter(prover.prove([Claim(inputs, {HEAD: 2})]))).rows[HEAD].evidence["counts"]

    noise = torch.cat(
        [standard_normal(3, Purpose.ESTIMATE, 4, block, (100, 1, 2, 2), torch.device("cpu")) for block in range(5)]
    )
    weights = network.convolution.weight.detach().double().flatten(1)
    scores = (x.double() + 0.5 * noise.double()).flatten(1) @ weights.T
    assert found == [*torch.bincount(scores.argmax(dim=1), minlength=3).tolist(), 0]


def test_a_missing_compiler_is_told_with_the_option_that_needs_it(monkeypatch, tmp_path):
    from torch._inductor import config

    torch.compiler.reset()
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(config.cpp, "cxx", ("no-such-compiler",))
    with pytest.raises(DeviceError, match=r"smoothing\.compiled.*a CPU needs a C\+\+ compiler"):
        deployed(nn.Sequential(nn.Conv2d(1, 3, 2), nn.Flatten(), nn.GELU()), compiled=True).decide(
            Inputs(torch.tensor([0]), {"image": torch.zeros(1, 1, 2, 2)}), Purpose.SELECT
        )


def test_compiled_proofs_have_keys_of_their_own():
    plain, compiled = Smoothing(sigma=0.5), Smoothing(sigma=0.5, compiled=True)
    assert {**plain.arithmetic("cpu"), "compiled": "torch.compile"} == compiled.arithmetic("cpu")
