"""The user's network under auto_LiRPA: nothing of it changes, and what cannot be bounded is refused."""

import logging
import warnings

import pytest
import torch
from lirpa_toys import BOUNDS, _few, boxes, dense, images, installed, network, radii, random_rows, singles
from torch import nn

from hiercls.testing.components import copied, require_untouched
from hiercls.values.heads import retrained
from hiercls.words.errors import HierclsError
from hiercls_plugins.auto_lirpa.engine import Engine

lirpa = installed


class Branching(nn.Module):
    def forward(self, x):
        flat = x.flatten(1)
        return flat[:, :2] if x.mean() > 0.5 else -flat[:, :2]


class Mixing(nn.Module):
    def forward(self, x):
        return x.flatten(1) - x.flatten(1).mean(0, keepdim=True)


class Overwriting(nn.Module):
    """Reads a view of what it overwrites, which a graph without memory does not follow."""

    def forward(self, x):
        h = (x - 0.5)[:, :, None]
        seen = h.flatten(1)
        h.relu_()
        return seen


@pytest.mark.usefixtures("lirpa")
@pytest.mark.parametrize("bound", BOUNDS)
def test_nothing_of_the_users_network_or_process_changes(bound, capfd):
    made = network("residual")
    made.norm.weight.requires_grad_(False)
    made.last.bias.grad = torch.ones(5)
    buffers = {name: buffer.clone() for name, buffer in made.named_buffers()}
    flags = {name: parameter.requires_grad for name, parameter in made.named_parameters()}
    before, filters, handlers = copied(made), list(warnings.filters), list(logging.root.handlers)
    head = retrained(singles(0, 1, 2, 3, 4))
    radii(made, head, images(2), bound=bound, precision=1.0, smallest=0.01, largest=0.1, rows=2, **_few(bound))
    require_untouched(before, made, bound)
    assert {name: parameter.requires_grad for name, parameter in made.named_parameters()} == flags
    assert sorted(set(flags.values())) == [False, True]
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in made.named_buffers())
    assert torch.equal(made.last.bias.grad, torch.ones(5))
    assert (torch.get_default_dtype(), torch.is_grad_enabled()) == (torch.float32, True)
    assert (list(warnings.filters), list(logging.root.handlers)) == (filters, handlers)
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("lirpa")
def test_a_dropout_is_the_identity_and_stays_in_the_users_network():
    plain = dense(64, 8, 3)
    dropping = nn.Sequential(*[part for layer in plain for part in (layer, nn.Dropout(0.5))]).eval()
    box, rows = boxes(images(3), 0.02), random_rows(3, 2, 3)
    found = Engine(dropping, "crown", 1).lowest(box, rows)
    assert torch.allclose(found, Engine(plain.eval(), "crown", 1).lowest(box, rows))
    assert sum(type(layer) is nn.Dropout for layer in dropping) == 4


@pytest.mark.usefixtures("lirpa")
def test_the_engine_refuses_a_network_in_train_mode():
    made = network("residual")
    made.norm.train()
    with pytest.raises(HierclsError, match="train mode depends on its batch"):
        Engine(made, "ibp", 1)


@pytest.mark.usefixtures("lirpa")
def test_what_is_deployed_decides_and_is_bounded_in_eval_mode():
    head, x = retrained(singles(0, 1, 2, 3, 4)), images(4)
    expected = radii(network("residual"), head, x, bound="ibp")
    found = radii(network("residual").train(), head, x, bound="ibp")
    assert torch.equal(expected[0], found[0])
    assert torch.equal(expected[1], found[1])
    assert bool(found[1].any())


@pytest.mark.usefixtures("lirpa")
@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([nn.LeakyReLU(-0.2)], r"a leaky ReLU of slope -0.2 is bounded only in \[0, 1\]"),
        ([nn.LeakyReLU(1.5)], r"a leaky ReLU of slope 1.5 is bounded only in \[0, 1\]"),
        ([nn.Unflatten(1, (1, 2, 1)), nn.MaxPool2d(2, padding=1), nn.Flatten()], "a max pool with padding"),
        ([nn.GELU()], r"Sequential cannot be bounded by ibp: no rule for onnx::Erf"),
        ([Branching()], "cannot be bounded by ibp: .*[Tt]race"),
        ([Mixing()], "depend on other rows of the batch"),
        ([Overwriting()], "lie outside the bounds that auto_LiRPA gives"),
    ],
)
def test_what_cannot_be_bounded_is_refused_with_a_reason(layers, message, capfd, caplog):
    torch.manual_seed(0)
    refused = nn.Sequential(nn.Flatten(), nn.Linear(4, 2), *layers).eval()
    head, x = retrained(singles(0, 1)), images(2)[:, :, :2, :2]
    with pytest.raises(HierclsError, match=message):
        radii(refused, head, x)
    assert capfd.readouterr() == ("", ""), "an engine that fails prints no traceback of its own"
    assert not caplog.records


@pytest.mark.usefixtures("lirpa")
def test_patches_that_do_not_know_an_operation_say_so():
    with pytest.raises(HierclsError, match="Residual cannot be bounded by crown with convolutions as patches: "):
        Engine(network("residual"), "crown", 1, "patches").lowest(boxes(images(2), 0.1), random_rows(2, 1, 5))


@pytest.mark.usefixtures("lirpa")
def test_bounds_that_do_not_hold_are_refused(monkeypatch):
    """An engine that is wrong by 1% of a bound is found out on random boxes."""
    right = Engine._lowest

    def wrong(self, box, rows, bound):
        found = right(self, box, rows, bound)
        return found + 0.01 * found.abs()

    monkeypatch.setattr(Engine, "_lowest", wrong)
    with pytest.raises(HierclsError, match="lie outside the bounds that auto_LiRPA gives by crown"):
        radii(network("dense"), retrained(singles(0, 1, 2, 3, 4)), images(2), bound="crown")
