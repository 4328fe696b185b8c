"""What cannot be bounded is refused by its name: unknown operations, work in place, hooks, the batch."""

import pytest
import torch
import torch.nn.functional as F
from bounds_toys import UNIT, Written, certifying, linear
from torch import nn

from hiercls.words.errors import HierclsError
from hiercls_plugins.bounds.bounded import Bounded
from hiercls_plugins.bounds.boxes import Box, enclosing


def test_an_unknown_operation_is_named():
    class Sine(nn.Module):
        def forward(self, x):
            return torch.sin(x.flatten(1))

    class Cumulated(nn.Module):
        def forward(self, x):
            return x.flatten(1).cumsum(1)

    for made, message in (
        (nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.GELU()), "GELU at '2'"),
        (nn.Sequential(nn.SiLU()), "SiLU at '0'"),
        (nn.Sequential(nn.Mish()), "Mish at '0'"),
        (nn.Sequential(nn.Flatten(), nn.GroupNorm(2, 4)), "GroupNorm at '1'"),
        (Sine(), "function 'sin'"),
        (Cumulated(), "method 'cumsum'"),
    ):
        with pytest.raises(HierclsError, match=message):
            Bounded(made.eval())


def test_what_a_network_may_not_do_is_said_clearly():
    class Branches(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    class Squares(nn.Module):
        def forward(self, x):
            return x.flatten(1) * x.flatten(1)

    class Reciprocal(nn.Module):
        def forward(self, x):
            return 1 / x.flatten(1)

    class Values(nn.Module):
        def forward(self, x):
            return x.T

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(4)

        def forward(self, x):
            return self.norm(self.norm(x))

    box = Box(torch.rand(2, 4), torch.rand(2, 4))
    with pytest.raises(HierclsError, match="cannot be traced"):
        Bounded(Branches().eval())
    with pytest.raises(HierclsError, match="product of two activations"):
        Bounded(Squares().eval()).outputs(box)
    with pytest.raises(HierclsError, match="division by an activation"):
        Bounded(Reciprocal().eval()).outputs(box)
    with pytest.raises(HierclsError, match="attribute 'T'"):
        Bounded(Values().eval()).outputs(box)
    with pytest.raises(HierclsError, match="applied twice"):
        Bounded(Twice().train())
    with pytest.raises(HierclsError, match="without running statistics"):
        Bounded(nn.Sequential(nn.BatchNorm1d(4, track_running_stats=False)).eval()).outputs(box)
    with pytest.raises(HierclsError, match="Dropout at '0' in train mode"):
        Bounded(nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 4)).train()).outputs(box)


def pre_activation(net, x):
    h = net.layer(x)
    return net.layer(net.relu(h)) + h


def augmented(net, x):
    h = net.layer(x)
    before = h
    h += 1.0
    return before


def through_a_view(net, x):
    h = net.layer(x)
    return F.relu(h.view(-1, 4), inplace=True) + h


def dropped(net, x):
    h = net.layer(x)
    h.mul_(2)
    return h


def view_of_old_values(net, x):
    h = net.layer(x)
    first = h[:, :2]
    h = torch.relu(h) + F.relu(h, True)
    return torch.cat([h, first], dim=1)


def transposed(net, x):
    h = net.layer(x)
    h += h.transpose(0, 1)
    return h


def into_a_buffer(net, x):
    return torch.add(net.layer(x), 1.0, out=net.offset)


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (pre_activation, "ReLU at 'relu' works in place"),
        (augmented, "function 'iadd' works in place"),
        (through_a_view, "function 'relu' works in place"),
        (dropped, "method 'mul_' of a tensor works in place"),
        (view_of_old_values, "function 'relu' works in place"),
        (transposed, "function 'iadd' works in place, and reads what it overwrites"),
        (into_a_buffer, "overwrites the input, a parameter or a buffer"),
        (lambda net, x: net.relu(x), "overwrites the input"),
        (lambda net, x: net.relu(x.flatten(1)), "overwrites the input"),
    ],
)
def test_values_that_are_overwritten_and_used_again_are_refused(function, named):
    with pytest.raises(HierclsError, match=named):
        Bounded(Written(function).eval())


def post_activation(net, x):
    h = net.relu(net.layer(x))
    shortcut = h
    h = net.layer(h)
    h += shortcut
    h = F.relu(h.view(-1, 4), True)
    count = h.size(0)
    count += 0
    return h.view(count, -1)


def test_work_in_place_on_values_that_nobody_else_reads_is_bounded_as_torch_computes_it():
    made = Written(post_activation).eval()
    x = torch.rand(6, 4)
    found = certifying(made).outputs(enclosing(x, torch.zeros(6, dtype=torch.float64), UNIT))
    with torch.no_grad():
        assert bool(((made(x).double() - found.centre).abs() <= found.radius).all())


def hooked(kind):
    made = linear([[1.0], [-1.0]])
    if kind == "hook":
        made[1].register_forward_hook(lambda layer, given, y: y + 1)
    elif kind == "pre-hook":
        made[1].register_forward_pre_hook(lambda layer, given: given[0] + 1)
    else:
        made[1].forward = lambda x: x + 1
    return made


@pytest.mark.parametrize("kind", ["hook", "pre-hook", "forward"])
def test_a_layer_with_a_hook_or_a_forward_of_its_own_is_refused(kind):
    with pytest.raises(HierclsError, match="Linear at '1' has a hook or a forward of its own"):
        Bounded(hooked(kind))


def test_a_tensor_that_a_network_makes_up_is_refused():
    with pytest.raises(HierclsError, match="neither a parameter nor a buffer"):
        Bounded(Written(lambda net, x: net.layer(x) + torch.rand(4)).eval())


@pytest.mark.parametrize(
    "function",
    [
        lambda net, x: net.layer(x - x.mean(0, keepdim=True)),
        lambda net, x: net.layer(x - x.mean()),
        lambda net, x: net.layer(torch.cat([x, x])),
    ],
)
def test_operations_along_the_batch_have_no_rule(function):
    with pytest.raises(HierclsError, match="along the batch"):
        Bounded(Written(function).eval()).outputs(Box(torch.rand(2, 4), torch.rand(2, 4)))


def test_an_average_pool_that_turns_signs_is_refused():
    box = enclosing(torch.rand(1, 1, 2, 2), torch.tensor([0.1], dtype=torch.float64), UNIT)
    for layer in (nn.AvgPool2d(2, divisor_override=-4), Written(lambda net, x: F.avg_pool2d(x, 2, divisor_override=0))):
        with pytest.raises(HierclsError, match="divisor_override"):
            certifying(layer.eval()).outputs(box)
    found = Bounded(nn.AvgPool2d(2, divisor_override=8).eval()).outputs(
        Box(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2))
    )
    assert found.radius.item() == 0.5
