"""What hides in a network that looks plain: replaced methods, views behind attributes, masks, names, dead code."""

import types
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hiercls.contracts.frozen import frozen
from hiercls.testing.components import context
from hiercls.testing.proofs import claims
from hiercls.values.draws import Purpose
from hiercls.values.heads import retrained
from hiercls.values.views import Inputs
from hiercls.words.errors import HierclsError
from hiercls.words.norms import LINF
from hiercls.words.threats import Domain, Threat
from hiercls_plugins.bounds.precision import full_precision
from hiercls_plugins.crown_ibp.certifier import CrownIbpCertifier
from hiercls_plugins.exact_linear.certifier import ExactLinear
from hiercls_plugins.ibp.certifier import IbpCertifier

HEAD = retrained([frozenset((0,)), frozenset((1,))])
CERTIFIERS = [IbpCertifier(), CrownIbpCertifier(), ExactLinear()]


class Plain(nn.Module):
    """Affine, three inputs and two outputs."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(3, 3), nn.Linear(3, 2)
        self.register_buffer("mask", torch.tensor([True, False, True]))
        self.first.weight.data = torch.eye(3)
        self.first.bias.data = torch.zeros(3)
        self.last.weight.data = torch.tensor([[1.0, -2.0, 0.5], [-1.0, 1.0, 0.0]])
        self.last.bias.data = torch.zeros(2)

    def forward(self, x):
        return self.last(self.first(x))


class Masked(Plain):
    def forward(self, x):
        return self.last(self.first(x) * self.mask)


class Numbered(Masked):
    """The same by numbers."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mask", torch.tensor([1.0, 0.0, 1.0]))


class Shifted(Plain):
    def forward(self, x):
        return self.last(self.first(x) + self.mask)


class ShiftedByNumbers(Shifted):
    def __init__(self):
        super().__init__()
        self.register_buffer("mask", torch.tensor([1.0, 0.0, 1.0]))


class Named(Plain):
    def forward(self, x):
        return self.last(input=torch.flatten(input=self.first(input=x), start_dim=1))


class Remembers(Plain):
    """It goes on computing after its output."""

    def forward(self, x):
        y = self.last(self.first(x))
        self.scaled = y * self.last.bias
        return y


class Accumulates(Plain):
    """Its own tensor, and not the parameter, is overwritten twice."""

    def forward(self, x):
        h = self.first(x)
        h += self.mask
        h *= 1.0
        return self.last(h)


class Hidden(Plain):
    def __init__(self, name):
        super().__init__()
        self.name = name

    def forward(self, x):
        return self.last(self.first(getattr(x, self.name)))


class Fixed(Plain):
    def forward(self, x):
        return self.last.bias.reshape(1, 2)


def certify(network, x, certifier):
    prover = certifier.deploy(
        network.eval(), (HEAD,), "image", context(Threat(LINF, (0.01,), domain=Domain()), batch=64)
    )
    inputs = Inputs(torch.arange(len(x)), {"image": x})
    proofs = prover.prove(claims(inputs, prover.decide(inputs, Purpose.SELECT)))
    return [proof.rows[HEAD] for proof in sorted(proofs, key=lambda proof: proof.index)]


@pytest.mark.parametrize("certifier", CERTIFIERS)
@pytest.mark.parametrize(
    ("kind", "same"),
    [(Masked, Numbered), (Shifted, ShiftedByNumbers), (Named, Plain), (Remembers, Plain)],
)
def test_another_way_to_write_a_network_has_the_same_radii(kind, same, certifier):
    x = torch.tensor([[0.9, 0.2, 0.5], [0.1, 0.7, 0.3]])
    found, expected = ([row.own for row in certify(made, x, certifier)] for made in (kind(), same()))
    assert found == pytest.approx(expected, rel=1e-5)
    assert max(found) > 0


@pytest.mark.parametrize("certifier", [IbpCertifier(), CrownIbpCertifier()])
def test_what_is_added_in_place_may_be_overwritten_again(certifier):
    x = torch.tensor([[0.9, 0.2, 0.5]])
    found = [certify(made, x, certifier) for made in (Accumulates(), Shifted())]
    assert found[0][0].own == pytest.approx(found[1][0].own, rel=1e-5)
    assert found[0][0].own > 0


@pytest.mark.parametrize("certifier", CERTIFIERS)
@pytest.mark.parametrize("name", ["data", "mT", "real"])
def test_a_view_behind_an_attribute_is_refused(name, certifier):
    with pytest.raises(HierclsError, match=f"no rule for the attribute '{name}' of a tensor"):
        certify(Hidden(name), torch.rand(1, 3), certifier)


@pytest.mark.parametrize("certifier", CERTIFIERS)
def test_an_output_that_does_not_depend_on_the_input_is_refused(certifier):
    with pytest.raises(HierclsError, match="the output of Fixed does not depend on its input"):
        certify(Fixed(), torch.rand(1, 3), certifier)


def circular(self, x, weight, bias):
    """As pictures are made seamless; torch's own is patched so."""
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="circular"), weight, bias)


def gated(self, *given):
    return nn.Module._call_impl(self, *given) + F.relu(given[0].sum() - 3)


@pytest.mark.parametrize("certifier", CERTIFIERS)
@pytest.mark.parametrize(("method", "function"), [("_conv_forward", circular), ("_call_impl", gated)])
def test_a_replaced_method_of_a_layer_is_refused(method, function, certifier):
    layer = nn.Conv2d(1, 1, 3, padding=1)
    setattr(layer, method, types.MethodType(function, layer))
    made = nn.Sequential(layer, nn.Flatten(), nn.Linear(16, 2)).eval()
    with pytest.raises(HierclsError, match=f"Conv2d at '0' has a hook or a {method} of its own"):
        certify(made, torch.rand(1, 1, 4, 4), certifier)


@pytest.mark.parametrize("certifier", CERTIFIERS)
def test_a_method_replaced_for_all_layers_of_a_kind_is_refused(certifier, monkeypatch):
    monkeypatch.setattr(nn.Conv2d, "_conv_forward", circular)
    made = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Flatten(), nn.Linear(16, 2))
    with pytest.raises(HierclsError, match="Conv2d at '0' has a hook or a _conv_forward of its own"):
        certify(made, torch.rand(1, 1, 4, 4), certifier)


def test_a_method_of_a_users_own_module_may_be_replaced():
    made = Plain()
    made.extra = types.MethodType(lambda self: None, made)
    assert certify(made, torch.tensor([[0.9, 0.2, 0.5]]), IbpCertifier())[0].own > 0


@pytest.mark.parametrize("certifier", CERTIFIERS)
def test_a_network_compiled_by_torch_jit_is_refused(certifier):
    with pytest.raises(HierclsError, match="is compiled by torch.jit; deploy the module itself"):
        certify(torch.jit.script(Plain().eval()), torch.rand(1, 3), certifier)


def test_a_tensor_with_a_gradient_behind_it_is_named():
    made = Plain()
    made.first.seen = made.first(torch.rand(1, 3))
    with pytest.raises(HierclsError, match=r"the network keeps 'first.seen', a tensor computed with gradients"):
        frozen(made)
    with pytest.raises(HierclsError, match=r"first.seen'"):
        certify(made, torch.rand(1, 3), IbpCertifier())
    made.first.seen = made.first.seen.detach()
    made.register_buffer("offset", made.last.bias * 2)
    with pytest.raises(HierclsError, match="the network keeps 'offset'"):
        frozen(made)
    made.offset = made.offset.detach()
    copy = frozen(made.train())
    assert made.training
    assert not copy.training
    assert not any(parameter.requires_grad for parameter in copy.parameters())


def test_a_precision_that_torch_cannot_tell_is_refused():
    before = torch.backends.cuda.matmul.fp32_precision
    try:
        torch.backends.cuda.matmul.fp32_precision = "tf32"
        with (
            pytest.raises(HierclsError, match="by torch.set_float32_matmul_precision alone"),
            full_precision("cpu"),
        ):
            pass
    finally:
        torch.backends.cuda.matmul.fp32_precision = before
    with full_precision("cpu"):
        assert torch.get_float32_matmul_precision() == "highest"


def test_exact_radii_are_refused_in_train_mode_and_for_one_batch_size():
    class Kept(nn.BatchNorm1d):
        """It cannot leave train mode."""

        def train(self, mode=True):
            return super().train(True)

    class Viewed(Plain):
        def forward(self, x):
            return self.last(self.first(x).view(256, -1))

    kept = nn.Sequential(nn.Linear(3, 3), Kept(3), nn.Linear(3, 2)).eval()
    with pytest.raises(HierclsError, match="exact-linear: a network in train mode depends on its batch"):
        certify(kept, torch.rand(1, 3), ExactLinear())
    with pytest.raises(HierclsError, match="works for one batch size alone"):
        certify(Viewed(), torch.rand(1, 3), ExactLinear())


def test_a_mean_over_a_view_without_channels_is_charged_for_all_its_entries():
    """1,016 units in the last place are lost over 64 by 64 entries; the same view with a channel is charged alike."""
    v, s = 0.5401000380516052, 0.0210256577
    made = nn.Sequential(nn.AvgPool2d(64), nn.Flatten(), nn.Linear(1, 2))
    made[2].weight.data = torch.tensor([[1.0], [0.0]])
    made[2].bias.data = torch.tensor([0.0, v * (1 - 2 * 141 * 2.0**-24 * 1.05)])
    apart, together = (
        certify(deepcopy(made), torch.full(shape, v + s), ExactLinear())[0] for shape in ((1, 1, 64, 64), (1, 64, 64))
    )
    assert together.own == pytest.approx(apart.own, rel=1e-9)
    assert 0 < together.own < s
