"""Exact radii of linear networks against closed forms and sampled perturbations."""

from fractions import Fraction
from math import inf, sqrt

import pytest
import torch
from bounds_toys import Standardised
from torch import nn

from hiercls.contracts.context import Context
from hiercls.contracts.provers import Claim
from hiercls.testing import CertifierConformance
from hiercls.values.draws import Purpose
from hiercls.values.heads import restricted, retrained
from hiercls.values.perturbations import random_in_ball
from hiercls.values.views import Inputs
from hiercls.words.errors import HierclsError
from hiercls.words.norms import L1, L2, LINF, Norm
from hiercls.words.threats import EVERYWHERE, Domain, Threat
from hiercls_plugins.exact_linear.certifier import ExactLinear

NORMS = (LINF, L2, L1, Norm(3.0))


class TestExactLinear(CertifierConformance):
    tight = True
    norms = NORMS

    def make(self):
        return ExactLinear()


def singles(*labels):
    return [frozenset((label,)) for label in labels]


def network(weight, bias):
    weight = torch.tensor(weight)
    layer = nn.Linear(weight.shape[1], len(weight))
    layer.load_state_dict({"weight": weight, "bias": torch.tensor(bias)})
    return nn.Sequential(nn.Flatten(), layer).eval()


def rows(made, head, x, norm=LINF, domain=EVERYWHERE, certifier=None):
    prover = (certifier or ExactLinear()).deploy(made, (head,), "image", Context(threat=Threat(norm, domain=domain)))
    inputs = Inputs(torch.arange(len(x)), {"image": x})
    chosen = prover.decide(inputs, Purpose.SELECT)[head].tolist()
    claims = [Claim(inputs[n : n + 1], {head: chosen[n]}) for n in range(len(x))]
    return [proof.rows[head] for proof in sorted(prover.prove(claims), key=lambda proof: proof.index)]


@pytest.mark.parametrize(("norm", "radius"), [(LINF, 5 / 7), (L2, 1.0), (L1, 5 / 4)])
def test_the_radius_is_the_margin_over_the_dual_norm(norm, radius):
    """y_0 - y_1 = 3 a + 4 b: 5 at (1, 1/2); dual norms 7, 5 and 4."""
    made = network([[2.0, 1.0], [-1.0, -3.0]], [0.0, 0.0])
    (row,) = rows(made, retrained(singles(0, 1)), torch.tensor([[1.0, 0.5]]), norm)
    assert row.chosen == 0
    assert row.own < radius
    assert row.own == pytest.approx(radius, rel=3e-5)


def test_a_group_falls_with_its_last_label_and_a_label_falls_to_any_outside():
    """Scores (6, 1, 4, 2); group {1, 2} against {0} and {3}; one weight a label, so every pair has dual norm sqrt 2."""
    made = network([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 1.0]], [0.0] * 4)
    x = torch.tensor([[6.0, 1.0, 4.0, 2.0]])
    head = restricted([frozenset((0,)), frozenset((1, 2)), frozenset((3,))])
    (row,) = rows(made, head, x, L2)
    assert row.radii == pytest.approx((0, 2 / sqrt(2), 4 / sqrt(2)), rel=3e-5)
    assert row.own == min(row.radii[1:])


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("groups", [[(0,), (1,), (2,), (3,)], [(0, 2), (1, 3)], [(1,), (2,)]])
def test_no_point_of_a_ball_chooses_an_excluded_child(norm, groups):
    torch.manual_seed(0)
    made = nn.Sequential(nn.Flatten(), nn.Linear(5, 4)).eval()
    x = torch.rand(40, 5)
    head = restricted([frozenset(group) for group in groups])
    proved = rows(made, head, x, norm)
    radii = torch.tensor([row.radii for row in proved], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    for child in range(len(groups)):
        budget = torch.where(radii[:, child] == 0, 0.0, radii[:, child]).clamp_max(1e3)
        for _ in range(300):
            moved = x + (random_in_ball(x, budget, norm, generator) - x)
            chosen = head.decide(made(moved))
            assert not bool(((chosen == child) & (budget > 0)).any())


def test_equal_weights_are_never_overtaken_inside_a_box_and_ties_are_not_certified():
    made = network([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]], [0.5, 0.25, 0.5])
    head = retrained(singles(0, 1, 2))
    (row,) = rows(made, head, torch.tensor([[0.5, 0.5]]), domain=Domain())
    assert row.chosen == 0
    assert row.radii == (0, inf, 0)
    assert row.own == 0


def test_on_an_unbounded_domain_equal_weights_are_overtaken_only_where_float32_loses_the_bias():
    """The real-valued network never errs; the float32 one does where |x| is a few million times the bias."""
    made = network([[1.0], [1.0]], [0.5, 0.25])
    (row,) = rows(made, retrained(singles(0, 1)), torch.tensor([[0.5]]))
    assert 1e4 < row.own < 2.0**24
    far = torch.tensor([[2.0**26]])
    assert torch.equal(made(far)[0, 0], made(far)[0, 1])


@pytest.mark.parametrize("domain", [EVERYWHERE, Domain("box", -9.0, 9.0)])
def test_the_power_of_a_steep_dual_norm_does_not_underflow(domain):
    """l1.01 has the dual l101: the slope's entries to that power are no float64 numbers."""
    made = network([[1e-4] * 4, [-1e-4] * 4], [0.0, 1e-4])
    (row,) = rows(made, retrained(singles(0, 1)), torch.ones(1, 4), norm=Norm(1.01), domain=domain)
    assert row.own == pytest.approx((8e-4 - 1e-4) / (2e-4 * 4 ** (1 / 101)), rel=1e-4)


def test_a_child_that_loses_on_the_whole_domain_has_an_infinite_radius_there():
    made = network([[1.0, 1.0], [0.0, 0.0]], [0.5, 0.0])
    x, head = torch.tensor([[0.25, 0.25]]), retrained(singles(0, 1))
    assert rows(made, head, x, domain=Domain())[0].own == inf
    assert rows(made, head, x)[0].own == pytest.approx(0.5, rel=3e-5)
    barely = network([[1.0, 1.0], [0.0, 0.0]], [1e-9, 0.0])
    assert rows(barely, head, x, domain=Domain())[0].own < inf, "within what float32 may err"


def test_affine_layers_fold_into_one_map():
    torch.manual_seed(0)
    norm, inner = nn.BatchNorm1d(6), nn.Conv2d(2, 3, 2)
    for tensor in (norm.running_mean, norm.weight.data, norm.bias.data):
        tensor.normal_()
    norm.running_var.uniform_(0.5, 2)
    layers = (inner, nn.AvgPool2d(3), nn.Identity(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(3, 6), norm)
    made = Standardised(nn.Sequential(*layers, nn.Linear(6, 2))).eval()
    x = torch.rand(20, 2, 4, 4)
    precise = made.double()
    margin = [y[0] - y[1] for y in precise(x.double())]
    points = torch.zeros(33, 32, dtype=torch.float64)
    points[1:] = torch.eye(32, dtype=torch.float64)
    values = precise(points.reshape(33, 2, 4, 4))
    slope = (values[1:] - values[0])[:, 0] - (values[1:] - values[0])[:, 1]
    found = rows(made.float(), retrained(singles(0, 1)), x)
    for row, lead in zip(found, margin, strict=True):
        exact = abs(lead.item()) / slope.abs().sum().item()
        assert 0.995 * exact <= row.own < exact


def test_a_radius_holds_in_exact_arithmetic():
    """At the stated radius the worst point of the ball is still strictly on the right side."""
    torch.manual_seed(1)
    made = nn.Sequential(nn.Flatten(), nn.Linear(9, 2)).eval()
    weight = [[Fraction(w) for w in row] for row in made[1].weight.tolist()]
    bias = [Fraction(b) for b in made[1].bias.tolist()]
    x = torch.rand(30, 9)
    for point, row in zip(x.tolist(), rows(made, retrained(singles(0, 1)), x), strict=True):
        one, other = row.chosen, 1 - row.chosen
        slope = [a - b for a, b in zip(weight[one], weight[other], strict=True)]
        margin = sum(s * Fraction(v) for s, v in zip(slope, point, strict=True)) + bias[one] - bias[other]
        assert margin - sum(map(abs, slope)) * Fraction(row.own) > 0


def test_the_norm_is_the_threats_unless_one_is_named():
    made = network([[2.0, 1.0], [-1.0, -3.0]], [0.0, 0.0])
    context = Context(threat=Threat(LINF))
    head = retrained(singles(0, 1))
    assert ExactLinear().deploy(made, (head,), "image", context).norm == LINF
    certifier = ExactLinear.model_validate({"norm": "l2"})
    assert certifier.deploy(made, (head,), "image", context).norm == L2
    assert certifier.model_dump(mode="json") == {"norm": "l2"}
    (row,) = rows(made, head, torch.tensor([[1.0, 0.5]]), LINF, certifier=certifier)
    assert row.own == pytest.approx(1.0, rel=3e-5)
    with pytest.raises(ValueError, match="'manhattan' is unknown"):
        ExactLinear.model_validate({"norm": "manhattan"})


class Squared(nn.Module):
    def forward(self, x):
        return x.flatten(1) * x.flatten(1)


class Square(nn.Module):
    def forward(self, x):
        x = x.flatten(1)
        return x * x


class Scaled(nn.Module):
    def forward(self, x):
        return torch.add(x, x, alpha=2)


class Divided(nn.Module):
    def forward(self, x):
        return 1 / x


def test_no_radius_goes_to_where_the_network_may_overflow_and_abstain():
    made = network([[3e38, 3e38], [0.0, 0.0]], [0.0, 0.0])
    head = retrained(singles(0, 1))
    x = torch.full((1, 2), 0.5 / 32)
    assert head.decide(made(torch.full((1, 2), 0.8))).item() < 0
    for domain in (Domain(), EVERYWHERE):
        (row,) = rows(made, head, x, domain=domain)
        assert row.own < 0.55
    always = network([[1e38, 1e38], [0.0, 0.0]], [1e36, 0.0])
    assert rows(always, head, x, domain=Domain())[0].own < 0.55, "it leads everywhere in real numbers"


def test_a_sum_that_overflows_inside_the_network_is_not_certified():
    first, last = network([[-3e38, -3e38, 3e38, 3e38]], [5e36]), network([[1e-36], [0.0]], [0.0, 10.0])
    made = nn.Sequential(*first, *last[1:]).eval()
    (row,) = rows(made, retrained(singles(0, 1)), torch.full((1, 4), 0.5), domain=Domain())
    assert row.own == 0
    grey = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.AvgPool2d(8), nn.Flatten(), *last[1:]).eval()
    with torch.no_grad():
        grey[0].weight.fill_(1.5e37)
    (row,) = rows(grey, retrained(singles(0, 1)), torch.full((1, 1, 8, 8), 0.015), domain=Domain())
    assert row.own < 0.4


def test_products_that_underflow_before_they_grow_again_are_not_certified():
    """The small weight times x is one subnormal step where x > 1/2, and nothing below."""
    first, last = network([[1.4e-45]], [0.0]), network([[1e30], [0.0]], [0.0, 1e-16])
    made, head = nn.Sequential(*first, *last[1:]).eval(), retrained(singles(0, 1))
    assert head.decide(made(torch.tensor([[0.9], [0.3]]))).tolist() == [0, 1]
    (row,) = rows(made, head, torch.tensor([[0.9]]), domain=Domain())
    assert row.own < 0.5


class Drifting(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)
        self.passes = 0

    def forward(self, x):
        self.passes += 1
        return self.layer(x) + self.passes


def test_a_network_that_is_not_the_folded_map_is_refused_before_its_first_claim():
    with pytest.raises(HierclsError, match="outputs of the deployed network"):
        rows(Drifting().eval(), retrained(singles(0, 1)), torch.rand(3, 4))
    made = network([[1.0], [-1.0]], [-0.1, 0.1])
    made[1].register_forward_hook(lambda layer, given, y: y + torch.tensor([-0.4, 0.4]))
    with pytest.raises(HierclsError, match="has a hook"):
        rows(made, retrained(singles(0, 1)), torch.rand(3, 1))


def test_an_average_pool_that_turns_signs_is_refused():
    made = nn.Sequential(nn.AvgPool2d(2, divisor_override=-4), nn.Flatten(), nn.Linear(1, 2)).eval()
    with pytest.raises(HierclsError, match="divisor_override = -4"):
        rows(made, retrained(singles(0, 1)), torch.rand(1, 1, 2, 2))


@pytest.mark.parametrize(
    ("made", "named"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)), "ReLU at '2' is not affine"),
        (nn.Sequential(nn.MaxPool2d(2)), "MaxPool2d at '0' is not affine"),
        (Squared(), "function 'mul' is not affine"),
        (Square(), "function 'mul' is not affine"),
        (Scaled(), "function 'add' is not affine"),
        (Divided(), "function 'truediv' is not affine"),
        (nn.Sequential(nn.GELU()), "GELU at '0'"),
    ],
)
def test_what_is_not_affine_is_named_at_deployment(made, named):
    with pytest.raises(HierclsError, match=named):
        ExactLinear().deploy(made.eval(), (retrained(singles(0, 1)),), "image", Context())
