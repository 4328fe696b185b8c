"""Networks that compute something else than their operations seem to say: refused, or charged for what they do."""

import operator

import pytest
import torch
import torch.nn.functional as F
from ibp_toys import at
from test_bounds_trial import HEAD, certify
from torch import fx, nn

from hiercls.contracts.context import Context
from hiercls.contracts.pointwise import TILE
from hiercls.words.errors import ConfigurationError, HierclsError
from hiercls.words.norms import LINF
from hiercls.words.threats import EVERYWHERE, Domain, Threat
from hiercls_plugins.bounds import affine, rules
from hiercls_plugins.bounds.agreement import require_agreement, require_rows_apart
from hiercls_plugins.bounds.bounded import Bounded
from hiercls_plugins.bounds.boxes import Box
from hiercls_plugins.bounds.precision import FullPrecision
from hiercls_plugins.bounds.rounding import FLOAT32, PLAIN
from hiercls_plugins.bounds.training.objective import WorstCase
from hiercls_plugins.bounds.training.ramp import Ramp
from hiercls_plugins.crown_ibp.certifier import CrownIbpCertifier
from hiercls_plugins.exact_linear.certifier import ExactLinear
from hiercls_plugins.ibp.certifier import IbpCertifier


class Odd(nn.Module):
    """Three inputs, two outputs, and a buffer that float32 does not hold exactly."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(3, 2)
        self.register_buffer("w", torch.tensor(0.7))


class Branching(Odd):
    def forward(self, x):
        return self.last(x if self.w * 10 >= 7 else -x)  # 7 in float32, 6.99 in float64


class Numbered(Odd):
    def forward(self, x):
        return self.last(x * float(self.w * 10 - 7))


class Counting(Odd):
    def __init__(self):
        super().__init__()
        self.share = nn.Parameter(torch.tensor([0.7, 0.7, 0.7]), requires_grad=False)

    def forward(self, x):
        return self.last(x * (self.share * 10).long())


class HalfInside(Odd):
    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            h = F.relu(x)
        return self.last(h)


class Called(Odd):
    def forward(self, x):
        return self.last(x)

    def __call__(self, x):
        return super().__call__(x) + x[:, :2]


class CalledGraph(fx.GraphModule):
    def __call__(self, x):
        return super().__call__(x) + x[:, :2]


class Asking(Odd):
    """It computes something else where the inputs are large, and never while it is traced."""

    def forward(self, x):
        y = self.last(x)
        return y if isinstance(x, fx.Proxy) else torch.where(x.mean(dim=1, keepdim=True) > 0.995, 1 - y, y)


@pytest.mark.parametrize(
    ("network", "named"),
    [
        (Branching, "traced again, as it is deployed, the network has other"),
        (Numbered, "traced again, as it is deployed, the network has other"),
        (Counting, "'long' of a tensor makes a constant"),
        (HalfInside, "changes the precision of autocast"),
        (Called, "Called has a __call__ of its own"),
    ],
)
def test_a_network_that_is_not_its_trace_is_refused(network, named):
    with pytest.raises(HierclsError, match=named):
        certify(network(), IbpCertifier())


def test_a_graph_with_a_call_of_its_own_is_refused():
    traced = fx.symbolic_trace(nn.Sequential(nn.Linear(3, 2)))
    certify(traced, IbpCertifier())
    with pytest.raises(HierclsError, match="CalledGraph has a __call__ of its own"):
        certify(CalledGraph(traced, traced.graph), IbpCertifier())


@pytest.mark.parametrize("certifier", [IbpCertifier(), CrownIbpCertifier(), ExactLinear()])
def test_a_claim_about_an_input_needs_its_outputs_within_their_bounds(certifier):
    torch.manual_seed(0)
    network, threat = Asking().eval(), Threat(LINF, (0.01,), domain=Domain())
    prover = certifier.deploy(network, (HEAD,), "image", Context(threat=threat, batch=64))
    tile = torch.rand(TILE, 3, generator=torch.Generator().manual_seed(1)) * 0.9
    assert (prover.radii(prover.network, HEAD, tile) > 0).any()
    tile[7] = 1.0
    with pytest.raises(HierclsError, match="lie outside their bounds at an input"):
        prover.radii(prover.network, HEAD, tile)


def test_a_hook_on_all_modules_is_refused():
    handle = nn.modules.module.register_module_forward_hook(lambda layer, given, found: found * 2)
    try:
        with pytest.raises(HierclsError, match="a hook on all modules"):
            certify(nn.Sequential(nn.Linear(3, 2)), IbpCertifier())
    finally:
        handle.remove()


def test_training_may_compute_its_loss_in_autocast():
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = WorstCase(Ramp(0.1, 0.5, 0, 10), EVERYWHERE, 0.5).loss(
            network, torch.rand(4, 3), torch.arange(4) % 2, at(5)
        )
    assert loss.isfinite()


def test_no_transform_of_a_convolution_runs_under_a_certificate():
    class Asked(nn.Module):
        def forward(self, x):
            self.nnpack, self.cudnn = torch._C._get_nnpack_enabled(), torch.backends.cudnn.enabled
            return x

    network = FullPrecision(Asked())
    before = torch._C._get_nnpack_enabled()
    network(torch.zeros(1, 2))
    assert (network.network.nnpack, network.network.cudnn) == (False, False)
    assert torch._C._get_nnpack_enabled() == before


@pytest.mark.parametrize("step", [1, 2, 4, 6, 7])
def test_a_row_may_read_no_other_row_however_far_away(step):
    points = torch.rand(8, 3, generator=torch.Generator().manual_seed(0))

    def network(x):
        return x[:, :2] + 3 * x.roll(step, 0)[:, 1:]

    def bounds(budgets):
        radius = budgets[:, None].expand(-1, 2)
        return Box(network(points.double()), 1e-6 + radius + 3 * radius.roll(step, 0))

    wide = Box(network(points.double()), torch.full((8, 2), 1e-6, dtype=torch.float64))
    with pytest.raises(HierclsError, match="depend on other rows"):
        require_agreement(network, wide, points)
    with pytest.raises(HierclsError, match="depend on other rows"):
        require_rows_apart(bounds, points)


def test_outputs_outside_their_bounds_are_refused():
    points = torch.rand(4, 2, generator=torch.Generator().manual_seed(0))
    box = Box(points.double(), torch.full((4, 2), 0.5, dtype=torch.float64))
    require_agreement(lambda x: x + 0.4, box, points)
    with pytest.raises(HierclsError, match="lie outside their bounds"):
        require_agreement(lambda x: x + 0.6, box, points)


def test_rows_that_are_apart_pass():
    points = torch.rand(6, 3, generator=torch.Generator().manual_seed(0))
    box = Box(points[:, :2].double(), torch.full((6, 2), 1e-6, dtype=torch.float64))
    require_agreement(lambda x: x[:, :2], box, points)
    require_rows_apart(lambda budgets: Box(box.centre, box.radius + budgets[:, None]), points)


def box_of(*shape):
    values = torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return Box(values, torch.zeros_like(values))


@pytest.mark.parametrize("sides", [(3,), [3], [3, 3]])
def test_an_average_is_charged_for_all_that_it_adds(sides):
    pool = rules.FUNCTIONS[F.avg_pool2d]
    x = box_of(2, 1, 6, 6)
    assert torch.equal(pool(FLOAT32, x, sides).radius, pool(FLOAT32, x, 3).radius)
    assert bool((pool(FLOAT32, x, 3).radius > 9 * FLOAT32.unit * pool(PLAIN, x, 3).centre).all())


def test_an_adaptive_average_without_channels_is_charged_for_both_axes():
    pool = rules.FUNCTIONS[F.adaptive_avg_pool2d]
    x = box_of(2, 64, 4)
    assert bool((pool(FLOAT32, x, (1, 1)).radius > 256 * FLOAT32.unit * pool(PLAIN, x, (1, 1)).centre).all())


def test_a_dense_layer_of_one_row_is_charged_for_its_entries():
    x, weight = box_of(2, 3, 1000), torch.ones(1000, dtype=torch.float64)
    found = affine.linear(FLOAT32, x, weight)
    assert bool((found.radius > 1000 * FLOAT32.unit * found.centre).all())


@pytest.mark.parametrize("squashing", [nn.Sigmoid(), nn.Tanh()])
def test_what_may_have_overflowed_is_not_bounded_again(squashing):
    network = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 1, bias=False), squashing).double().eval()
    with torch.no_grad():
        network[0].weight.fill_(3e38)
        network[1].weight.copy_(torch.tensor([[1.0, -1.0]]))  # infinity minus infinity
    x = torch.ones(1, 2, dtype=torch.float64)
    assert Bounded(network, FLOAT32).outputs(Box(x, torch.zeros_like(x))).radius.item() == torch.inf


def test_a_padding_that_float32_rounds_is_a_box():
    pad = rules.FUNCTIONS[F.pad]
    found = pad(FLOAT32, box_of(1, 1, 2, 2), (1, 0), value=0.1)
    stored = float(torch.tensor(0.1))
    assert found.radius[0, 0, 0, 0] >= abs(stored - 0.1) > 0


def test_sums_and_quotients_without_an_error_bound_are_refused():
    with pytest.raises(HierclsError, match="a sum of so many terms"):
        FLOAT32.growth(2**24)
    assert PLAIN.growth(2**24) == 0
    with pytest.raises(HierclsError, match="smallest normal float32"):
        rules.FUNCTIONS[operator.truediv](FLOAT32, box_of(1, 2), 1e-40)


def test_two_budgets_of_one_name_are_refused():
    with pytest.raises(ConfigurationError, match=r"threat.budgets: 0.01 stands there more than once, to six digits"):
        Threat(budgets=(0.01, 0.010000001))
