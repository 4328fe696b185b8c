"""What float32 rounds, loses or overflows is charged to the bounds, and never certified."""

from copy import deepcopy

import pytest
import torch
from bounds_toys import NETWORKS, UNIT, Written, certifying, linear, network
from torch import nn

from hiercls.values.heads import retrained
from hiercls.words.errors import HierclsError
from hiercls.words.threats import EVERYWHERE
from hiercls_plugins.bounds.bounded import Bounded
from hiercls_plugins.bounds.boxes import Box, enclosing
from hiercls_plugins.bounds.exclusion import excluded
from hiercls_plugins.bounds.precision import FullPrecision, full_precision
from hiercls_plugins.bounds.rounding import FLOAT32, PLAIN


def test_a_certificate_widens_a_box_by_a_few_parts_in_a_million():
    box = Box(torch.tensor([[5.0, 3.0]]).double(), torch.tensor([[1.0, 2.0]]).double())
    found = certifying(linear([[-1.0, 5.0]])).outputs(box)
    assert -1 - 2e-5 < found.lower.item() < -1
    assert 21 < found.upper.item() < 21 + 2e-5


@pytest.mark.parametrize("name", NETWORKS)
def test_widened_bounds_hold_the_plain_ones_and_little_more(name):
    made = network(name).double()
    box = enclosing(torch.rand(4, 2, 8, 8), torch.full((4,), 0.01, dtype=torch.float64), UNIT)
    plain, wide = Bounded(made).outputs(box), certifying(made).outputs(box)
    assert bool((wide.lower < plain.lower).all() & (wide.upper > plain.upper).all())
    assert bool((wide.radius <= 1.01 * plain.radius + 1e-4).all())


def test_bounds_hold_a_float32_network_that_loses_its_digits():
    """Large terms cancel: in float32 the small one is lost, and only the widened bounds know."""
    made = linear([[2.0**24, 1.0, -(2.0**24)]])
    x = torch.ones(1, 3)
    box = enclosing(x, torch.zeros(1, dtype=torch.float64), EVERYWHERE)
    deployed = made(x).item()
    exact = Bounded(deepcopy(made).double()).outputs(box)
    assert exact.centre.item() == 1
    wide = certifying(made).outputs(box)
    assert wide.lower.item() <= deployed <= wide.upper.item()
    assert wide.radius.item() > 1


def test_a_negative_radius_certifies_nothing():
    with pytest.raises(HierclsError, match="negative radius"):
        FLOAT32.widened(Box(torch.zeros(1, 2).double(), torch.tensor([[1.0, -1e-9]]).double()), 1)


TWO = retrained([frozenset((0,)), frozenset((1,))])


def certified(made, x, budget, domain=UNIT):
    """Whether each child is excluded around one input."""
    box = enclosing(x, torch.tensor([budget], dtype=torch.float64), domain)
    return excluded(certifying(made).features(box), TWO, FLOAT32)[0].tolist()


def layers(*weights):
    """Dense layers without bias, ReLU between them."""
    made = [nn.Flatten()]
    for weight in weights:
        made += [*linear(weight)[1:], nn.ReLU()]
    return nn.Sequential(*made[:-1]).eval()


@pytest.mark.parametrize(
    "made",
    [
        layers([[0.0], [1.4e-45]]),
        layers([[1e-15]], [[0.0], [1e-30]]),
        layers([[1e-25]], [[1e-25]], [[0.0], [1e30]]),
    ],
)
def test_products_that_underflow_are_not_certified(made):
    """Real-valued, output 1 leads wherever x > 0; in float32 its products are lost near 0."""
    x = torch.tensor([[0.9]])
    assert TWO.decide(made(torch.full((1, 1), 1e-10))).item() == 0, "a tie"
    assert TWO.decide(made.double()(torch.full((1, 1), 1e-10).double())).item() == 1
    assert certified(made.float(), x, 0.8999) == [False, False]


def test_a_factor_that_is_flushed_to_zero_is_not_certified():
    """Where subnormal numbers are flushed the small weight is 0, whatever large number it would multiply."""
    made = layers([[1e36]], [[0.0], [1e-38]])
    assert certified(made, torch.tensor([[0.9]]), 0.1) == [False, False]


def cancelling(made, weight, bias):
    with torch.no_grad():
        made.weight.copy_(torch.tensor(weight).reshape(made.weight.shape))
        made.bias.fill_(bias)
    return made


def tailed(*head):
    """Layers to one number, which must lie below 1e36 for output 1 to lead."""
    end = nn.Linear(1, 2)
    with torch.no_grad():
        end.weight.copy_(torch.tensor([[1e-36], [0.0]]))
        end.bias.copy_(torch.tensor([0.0, 10.0]))
    return nn.Sequential(*head, nn.Flatten(), end).eval()


def normed():
    norm = nn.BatchNorm1d(1, eps=0.0)
    with torch.no_grad():
        norm.running_mean.fill_(0.5)
        norm.weight.fill_(3e38)
        norm.bias.zero_()
    return norm


@pytest.mark.parametrize(
    "made",
    [
        tailed(nn.Flatten(), cancelling(nn.Linear(4, 1), [[-3e38, -3e38, 3e38, 3e38]], 5e36)),
        tailed(cancelling(nn.Conv2d(1, 1, 2), [-3e38, -3e38, 3e38, 3e38], 5e36)),
        tailed(nn.Flatten(), linear([[0.25] * 4])[1], normed()),
        tailed(cancelling(nn.Conv2d(1, 1, 1), [1e37], 0.0), nn.AdaptiveAvgPool2d(1)),
        tailed(Written(lambda net, x: (x * 9e36 + x * 9e36) - x * 9e36 - x * 9e36), nn.AdaptiveAvgPool2d(1)),
    ],
    ids=["dense", "convolution", "batch norm", "mean", "sum"],
)
def test_a_partial_sum_that_may_overflow_is_not_certified(made):
    """What overflows may cancel in the result, or be divided again."""
    assert certified(made, torch.full((1, 1, 2, 2), 0.5), 1e-9) == [False, False]


def test_a_mean_whose_sum_overflows_is_not_certified():
    made = tailed(cancelling(nn.Conv2d(1, 1, 1), [1.5e37], 0.0), nn.AvgPool2d(8))
    x = torch.full((1, 1, 8, 8), 0.5)
    assert not bool(made(x).isfinite().all())
    assert certified(made, x, 0.0) == [False, False]


def test_an_output_that_may_overflow_abstains_so_nothing_is_excluded():
    made = linear([[3e38, 3e38], [0.0, 0.0]])
    assert TWO.decide(made(torch.full((1, 2), 0.8))).item() < 0
    assert certified(made, torch.full((1, 2), 0.5), 0.3) == [False, False]


def test_ties_nan_and_overflow_exclude_nothing():
    head = retrained([frozenset((0,)), frozenset((1,))])
    box = enclosing(torch.full((1, 2), 0.5), torch.tensor([0.0], dtype=torch.float64), UNIT)
    for weight in ([[1.0, 1.0], [1.0, 1.0]], [[torch.nan, 1.0], [0.0, 0.0]], [[torch.inf, 1.0], [0.0, 0.0]]):
        made = certifying(linear(weight))
        assert not bool(excluded(made.features(box), head, FLOAT32).any())
    large = nn.Sequential(*linear([[1e25, 0.0]]), nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 2)).eval()
    with torch.no_grad():
        large[2].weight.fill_(1e25)
        large[4].weight.copy_(torch.tensor([[1e-25], [-1e-25]]))
    assert not bool(head.decide(large(torch.full((1, 2), 0.5))) >= 0), "in float32 it overflows"
    assert not bool(excluded(certifying(large).features(box), head, FLOAT32).any())


def test_a_margin_that_float32_loses_in_the_last_layer_excludes_nothing():
    """The rows differ by 1, which neither output can show beside 2^24: deployed, they tie."""
    made = linear([[2.0**24, 1.0], [2.0**24, 0.0]])
    x = torch.ones(1, 2)
    assert made(x)[0, 0] == made(x)[0, 1]
    features = certifying(made).features(enclosing(x, torch.zeros(1, dtype=torch.float64), UNIT))
    head = retrained([frozenset((0,)), frozenset((1,))])
    assert excluded(features, head, PLAIN).tolist() == [[False, True]]
    assert excluded(features, head, FLOAT32).tolist() == [[False, False]]


def test_certificates_switch_reduced_precision_off_and_back():
    seen = []

    class Asks(nn.Module):
        def forward(self, x):
            seen.append(
                (torch.get_float32_matmul_precision(), torch.is_autocast_enabled("cpu"), torch.backends.cudnn.enabled)
            )
            return x

    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            FullPrecision(Asks())(torch.zeros(1))
            assert torch.is_autocast_enabled("cpu")
        assert torch.get_float32_matmul_precision() == "medium"
        with pytest.raises(KeyError), full_precision("cpu"):
            raise KeyError
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert seen == [("highest", False, False)]


def test_plain_rounding_widens_nothing():
    box = Box(torch.rand(2, 3), torch.rand(2, 3))
    assert PLAIN.widened(box, 9) is box
