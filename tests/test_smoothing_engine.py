"""The smoothing engine on real networks: draws, tiles, heads, folding, and the two classical traps."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.stats import kstest, norm
from torch import nn
from torch.nn.utils import parametrizations

from hiercls.contracts.components import Task
from hiercls.contracts.context import Context
from hiercls.contracts.provers import Claim
from hiercls.contracts.schedules import Schedule
from hiercls.values.draws import Purpose, generator_name, standard_normal
from hiercls.values.heads import ABSTAIN, restricted
from hiercls.values.views import Inputs
from hiercls.words.errors import ConfigurationError
from hiercls.words.norms import L2
from hiercls.words.threats import EVERYWHERE, Threat
from hiercls_plugins.smoothing.binomial import LARGEST_DRAWS
from hiercls_plugins.smoothing.certifier import Smoothing
from hiercls_plugins.smoothing.statistics import one_sided, two_sided
from hiercls_plugins.smoothing.trainer import Gaussian

CPU = torch.device("cpu")


def parts(*groups):
    return [frozenset(group) for group in groups]


class Scores(nn.Module):
    """A network on one number: its outputs are given functions of it."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return torch.stack(self.function(x[:, 0]), dim=1)


def deployed(function, *heads, context=None, **options):
    options = {"sigma": 1.0, "draws": 2000, **options}
    network = function if isinstance(function, nn.Module) else Scores(function)
    return Smoothing(**options).deploy(network, heads, "image", context or Context())


def at(*points, start=0, **rest):
    x = torch.tensor(points)[:, None]
    return Inputs(torch.arange(start, start + len(points)), {"image": x}, **rest)


def proved(prover, point, chosen, **rest):
    return next(iter(prover.prove([Claim(at(point, **rest), chosen)]))).rows


class Watched(nn.Module):
    """A deployed network that keeps what it is shown."""

    def __init__(self, prover):
        super().__init__()
        self.network, self.seen = prover.votes.passes.network, []
        prover.votes.passes.network = self

    def forward(self, x):
        self.seen.append(x.clone())
        return self.network(x)


def boundary(place):
    """Label 0 at and below `place`, label 1 above."""
    return lambda z: (place - z, z - place)


BINARY = restricted(parts([0], [1]))


class Convolutional(nn.Module):
    """A small network with batch norm after convolutions: one plain, one called twice, one with a second reader."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.again, self.shared = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.branch, self.side = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.last = nn.Linear(4 * 36, 6)
        for norm_layer in (self.norm, self.shared, self.side):
            norm_layer.running_mean.uniform_(-1, 1)
            norm_layer.running_var.uniform_(0.5, 2)
            nn.init.uniform_(norm_layer.weight, 0.5, 2)

    def forward(self, x):
        x = self.norm(self.first(x)).relu()
        x = self.shared(self.again(self.again(x))).relu()
        x = self.branch(x)
        x = self.side(x) + x
        return self.last(x.flatten(1))


@pytest.fixture
def images():
    torch.manual_seed(3)
    return Inputs(torch.arange(8) + 40, {"image": torch.rand(8, 1, 6, 6)})


@pytest.fixture
def convolutional():
    torch.manual_seed(4)
    return Convolutional().eval()


FLAT = restricted(parts([0], [1], [2], [3], [4], [5]))
ROOT = restricted(parts([0, 1, 2], [3, 4, 5]))
LEFT = restricted(parts([0], [1], [2]))
RIGHT = restricted(parts([3], [4], [5]))
TREE = (ROOT, LEFT, RIGHT)


# --- draws -----------------------------------------------------------------------------------------


def test_any_other_part_of_the_key_gives_another_stream():
    base = (0, Purpose.SELECT, 7, 2)
    same = standard_normal(*base, (4, 3), CPU)
    assert torch.equal(same, standard_normal(*base, (4, 3), CPU))
    for other in (
        (1, Purpose.SELECT, 7, 2),
        (0, Purpose.ESTIMATE, 7, 2),
        (0, Purpose.SELECT, 8, 2),
        (0, Purpose.SELECT, 7, 3),
        (0, Purpose.SELECT, 2, 7),
    ):
        assert not torch.isclose(same, standard_normal(*other, (4, 3), CPU)).any()


def test_draws_are_standard_normal_up_to_the_tail():
    numbers = standard_normal(0, Purpose.ESTIMATE, 0, 0, (2_000_000,), CPU).double().numpy()
    assert kstest(numbers, "norm").pvalue > 1e-4
    for depth in (3.0, 4.0, 4.5):
        expected = 2 * norm.sf(depth) * len(numbers)
        assert abs((np.abs(numbers) > depth).sum() - expected) < 5 * expected**0.5


def test_selection_and_estimation_see_different_draws():
    prover = deployed(boundary(0.0), BINARY, draws=100, select=100, audit=100)
    seen = Watched(prover).seen
    prover.decide(at(0.0), Purpose.SELECT)
    proved(prover, 0.0, {BINARY: 0})
    prover.decide(at(0.0), Purpose.AUDIT)
    selected, estimated, again, audited = (block.flatten().tolist() for block in seen)
    assert selected == again
    assert len({*selected, *estimated, *audited}) == 300


def test_fewer_draws_are_the_first_of_more():
    counts = {}
    for draws in (1000, 1250):
        prover = deployed(boundary(0.1), BINARY, draws=draws, tile=500)
        counts[draws] = np.array(proved(prover, 0.0, {BINARY: 0})[BINARY].evidence["counts"])
    noise = torch.cat([standard_normal(0, Purpose.ESTIMATE, 0, block, (500, 1), CPU) for block in range(3)])[:, 0]
    for draws, found in counts.items():
        below = int((noise[:draws] <= 0.1).sum())
        assert found.tolist() == [below, draws - below, 0]


def test_noise_is_drawn_and_added_in_float32_whatever_the_network_computes_in(convolutional, images):
    counts = {}
    for precision in ("float32", "bf16"):
        prover = deployed(convolutional, FLAT, draws=500, sigma=0.5, precision=precision)
        watched = Watched(prover)
        counts[precision] = next(prover.prove([Claim(images[:1], {FLAT: 0})])).rows[FLAT].evidence["counts"]
        kind = prover.votes.passes.through(images.views["image"]).dtype
        assert kind == {"float32": torch.float32, "bf16": torch.bfloat16}[precision]
        noise = standard_normal(0, Purpose.ESTIMATE, 40, 0, (500, 1, 6, 6), CPU)
        assert torch.equal(watched.seen[0], images.views["image"][:1] + 0.5 * noise)
    assert np.abs(np.subtract(*counts.values())).sum() < 20


def test_noise_is_never_clipped():
    prover = deployed(boundary(0.0), BINARY)
    drawn = Watched(prover).seen
    proved(prover, 0.5, {BINARY: 0})
    assert torch.cat(drawn).min() < -1
    assert torch.cat(drawn).max() > 2


# --- rows ------------------------------------------------------------------------------------------


def test_a_half_space_has_its_closed_form_radius():
    """P(label 0) = Phi((place - x)/sigma); the exact radius is the distance to the boundary."""
    prover = deployed(boundary(1.0), BINARY, sigma=0.8, draws=20_000)
    row = proved(prover, 0.4, {BINARY: 0})[BINARY]
    assert 0.55 < row.own <= 0.6
    assert row.radii == (0.0, row.own)
    assert row.evidence["draws"] == sum(row.evidence["counts"]) == 20_000
    assert (prover.norm, prover.domain, prover.alpha) == (L2, EVERYWHERE, 0.001)


@pytest.mark.parametrize(("column", "bounds"), [("one-sided", one_sided), ("two-sided", two_sided)])
def test_the_recipe_fixes_the_column_and_the_other_is_evidence(column, bounds, convolutional, images):
    prover = deployed(convolutional, FLAT, sigma=0.5, column=column)
    chosen = int(prover.decide(images[:1], Purpose.SELECT)[FLAT][0])
    row = next(prover.prove([Claim(images[:1], {FLAT: chosen})])).rows[FLAT]
    counts = np.array(row.evidence["counts"])
    expected = bounds(counts, chosen, 0.5, 0.001)
    assert (row.own, row.radii) == (expected.own, tuple(expected.targeted))
    assert row.evidence["lower"] == expected.lower
    assert row.evidence["own"] == {
        "one-sided": one_sided(counts, chosen, 0.5, 0.001).own,
        "two-sided": two_sided(counts, chosen, 0.5, 0.001).own,
    }
    assert row.evidence["column"] == column


def test_a_wrong_choice_certifies_nothing():
    row = proved(deployed(boundary(1.0), BINARY), 0.0, {BINARY: 1})[BINARY]
    assert row.own == 0.0
    assert row.radii == (0.0, 0.0)


def test_rows_do_not_depend_on_batch_order_neighbours_or_heads(convolutional, images):
    heads = (FLAT, *TREE)
    claims = [Claim(images[k : k + 1], dict.fromkeys(heads, 0)) for k in range(len(images))]

    def rows(claims, batch, heads):
        prover = deployed(convolutional, *heads, sigma=0.5, draws=300, tile=64, context=Context(batch=batch))
        return {proof.index: proof.rows for proof in prover.prove(claims)}

    once = rows(claims, 1, heads)
    assert list(once) == images.index.tolist()
    assert once == rows(claims, 512, heads)
    assert once == rows(claims[::-1], 512, heads)
    assert once[43] == rows(claims[3:4], 7, heads)[43]
    assert {index: {ROOT: row[ROOT]} for index, row in once.items()} == rows(claims, 4, (ROOT,))


def test_decisions_do_not_depend_on_the_batch(convolutional, images):
    prover = deployed(convolutional, *TREE, sigma=0.5)
    for purpose in (Purpose.SELECT, Purpose.PREDICT, Purpose.AUDIT):
        together = prover.decide(images, purpose)
        for k in range(len(images)):
            alone = prover.decide(images[k : k + 1], purpose)
            assert all(alone[head][0] == together[head][k] for head in TREE)


def test_proofs_are_yielded_one_by_one_as_claims_are_pulled(images, convolutional):
    pulled = []

    def claims():
        for k in range(4):
            pulled.append(k)
            yield Claim(images[k : k + 1], {ROOT: 0})

    stream = deployed(convolutional, ROOT, draws=10, context=Context(batch=1)).prove(claims())
    next(stream)
    assert pulled == [0]


def test_only_the_decisions_that_a_claim_names_are_proved(convolutional, images):
    elsewhere = restricted(parts([0], [3]))
    prover = deployed(convolutional, *TREE, draws=10)
    proof = next(prover.prove([Claim(images[:1], {ROOT: 0, LEFT: 2, elsewhere: 0})]))
    assert set(proof.rows) == {ROOT, LEFT}
    assert proof.index == 40


# --- the traps --------------------------------------------------------------------------------------


BELOW, ABOVE = float(norm.ppf(0.30)), float(norm.ppf(0.90))


def three_regions(z):
    """Label 0 up to BELOW (probability .30 at 0), label 1 from ABOVE (.10), label 2 between."""
    return BELOW - z, z - ABOVE, torch.zeros_like(z)


def test_restricting_is_sound_where_renormalised_estimates_certify_nothing():
    flat, node = restricted(parts([0], [1], [2])), BINARY
    prover = deployed(three_regions, flat, node, draws=50_000)
    rows = proved(prover, 0.0, {flat: 2, node: 0})
    counts = rows[flat].evidence["counts"]
    assert counts[0] / 50_000 == pytest.approx(0.30, abs=0.01)
    assert counts[1] / 50_000 == pytest.approx(0.10, abs=0.01)

    true_radius = (BELOW + ABOVE) / 2
    assert 0.36 < rows[node].own <= true_radius

    claimed = one_sided(np.array([counts[0], counts[1], 0]), 0, 1.0, 0.001).own
    assert claimed > 0.6
    moved = prover.decide(at(0.527), Purpose.AUDIT, alpha=1e-6)[node]
    assert moved.tolist() == [1], "inside the renormalised claim the decision has flipped"
    assert two_sided(np.array(counts), 0, 1.0, 0.001).targeted[1] <= true_radius


def test_every_decision_counts_every_draw_and_not_only_those_passed_on_to_it():
    """Leaf boundary .30 away; conditioned on the parent's branch (1.0 away) its share claims .63."""
    root, leaf = restricted(parts([0, 1], [2])), restricted(parts([0], [1]))

    def routed(z):
        inside = z >= -1.0
        return torch.where(inside, z, z - 1e3), torch.where(inside, -0.6 - z, -0.6 - z), torch.where(inside, -1e4, 1e4)

    prover = deployed(routed, root, leaf, draws=50_000)
    rows = proved(prover, 0.0, {root: 0, leaf: 0})
    assert sum(rows[leaf].evidence["counts"]) == 50_000
    assert 0.28 < rows[leaf].own <= 0.30
    assert 0.97 < rows[root].own <= 1.0

    noise = torch.cat([standard_normal(0, Purpose.ESTIMATE, 0, block, (500, 1), CPU) for block in range(100)])[:, 0]
    passed_on = noise[noise >= -1.0]
    won = int((passed_on >= -0.3).sum())
    claimed = one_sided(np.array([won, len(passed_on) - won, 0]), 0, 1.0, 0.001).own
    assert claimed > 0.6
    assert prover.decide(at(-0.45), Purpose.AUDIT, alpha=1e-6)[leaf].tolist() == [1], "inside the routed claim"


def test_a_restricted_radius_is_never_below_the_flat_one_where_the_answers_agree():
    torch.manual_seed(11)
    network = nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 6))
    inputs = Inputs(torch.arange(150), {"image": torch.randn(150, 8) * 2})
    prover = deployed(network, FLAT, *TREE, sigma=0.5, draws=400)
    decided = prover.decide(inputs, Purpose.SELECT)
    leaf = torch.where(decided[ROOT] == 0, decided[LEFT], decided[RIGHT] + 3)
    agrees = (leaf == decided[FLAT]).nonzero().squeeze(1).tolist()
    claims = [
        Claim(
            inputs[k : k + 1], {head: int(decided[head][k]) for head in (FLAT, ROOT, (LEFT, RIGHT)[decided[ROOT][k]])}
        )
        for k in agrees
    ]
    larger = 0
    for proof in prover.prove(claims):
        flat = proof.rows[FLAT].own
        tree = min(row.own for head, row in proof.rows.items() if head is not FLAT)
        assert tree >= flat
        larger += tree > flat
    assert len(agrees) > 100
    assert larger > 20


# --- answers that are not finite, not clear, not allowed ----------------------------------------------


def broken_above(place):
    """Label 0 below `place`; above it one output is not finite."""
    return lambda z: (torch.zeros_like(z), torch.where(z > place, torch.nan, -1.0), -2 - 0 * z)


def test_draws_without_a_finite_answer_are_a_class_of_their_own():
    head, rest = restricted(parts([0], [1], [2])), restricted(parts([0], [2]))
    prover = deployed(broken_above(0.5), head, rest, draws=5000)
    rows = proved(prover, 0.0, {head: 0, rest: 0})
    lost = int(rows[head].evidence["counts"][-1])
    assert lost / 5000 == pytest.approx(norm.sf(0.5), abs=0.03)
    assert rows[head].evidence["counts"] == [5000 - lost, 0, 0, lost]
    assert 0 < rows[head].own <= 0.5
    assert rows[rest].evidence["counts"] == [5000, 0, 0], "an output that means no child of a head is none of its own"


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_no_answer_comes_from_mostly_lost_draws(value):
    prover = deployed(lambda z: (torch.where(z > -1, value, 1.0), 0 * z), BINARY, predict=500, audit=500)
    for purpose in (Purpose.SELECT, Purpose.PREDICT, Purpose.AUDIT):
        assert prover.decide(at(0.0), purpose)[BINARY].tolist() == [ABSTAIN]
    assert proved(prover, 0.0, {BINARY: 0})[BINARY].own == 0.0


def test_a_close_vote_abstains_and_a_clear_one_does_not():
    prover = deployed(boundary(0.0), BINARY, predict=1000)
    decided = prover.decide(at(0.002, 1.5, -1.5), Purpose.PREDICT)[BINARY]
    assert decided.tolist() == [ABSTAIN, 1, 0]


def test_a_stricter_level_abstains_more():
    prover = deployed(boundary(0.0), BINARY, predict=400)
    inputs = at(*np.linspace(-0.4, 0.4, 81).tolist())
    abstained = [
        int((prover.decide(inputs, Purpose.PREDICT, alpha=alpha)[BINARY] == ABSTAIN).sum()) for alpha in (0.2, 1e-6)
    ]
    assert abstained[0] < abstained[1]


def test_a_candidate_that_fresh_draws_do_not_confirm_is_not_answered():
    """One selection draw names a child at random; only the true one is ever confirmed."""
    prover = deployed(boundary(0.5), BINARY, select=1, predict=2000)
    inputs = at(*[0.0] * 60)
    named = prover.decide(inputs, Purpose.SELECT)[BINARY]
    decided = prover.decide(inputs, Purpose.PREDICT)[BINARY]
    assert set(named.tolist()) == {0, 1}
    assert torch.equal(decided, torch.where(named == 0, 0, ABSTAIN))


def test_ties_go_to_the_lowest_child():
    prover = deployed(lambda z: (0 * z, 0 * z), BINARY)
    assert proved(prover, 0.0, {BINARY: 0})[BINARY].evidence["counts"] == [2000, 0, 0]


@pytest.mark.parametrize("purpose", [Purpose.ESTIMATE, Purpose.ATTACK, Purpose.TRAIN])
def test_other_draws_decide_nothing(purpose):
    with pytest.raises(ValueError, match="decide nothing"):
        deployed(boundary(0.0), BINARY).decide(at(0.0), purpose)


THREE = restricted(parts([0], [1], [2]))


def test_only_allowed_children_are_counted_and_the_others_are_out_of_reach():
    allowed = torch.tensor([[True, True, False]])
    prover = deployed(three_regions, THREE, BINARY, draws=2000)
    inputs = at(0.0, allowed=allowed, allowed_view="location")
    assert prover.decide(inputs, Purpose.SELECT)[THREE].tolist() == [0]
    rows = next(prover.prove([Claim(inputs, {THREE: 0, BINARY: 0})])).rows
    assert rows[THREE].own == rows[BINARY].own
    assert rows[THREE].radii == (0.0, rows[BINARY].radii[1], torch.inf)
    assert rows[THREE].evidence["counts"] == [*rows[BINARY].evidence["counts"][:2], 0, 0]


def test_one_allowed_child_leaves_nothing_to_decide():
    allowed = torch.tensor([[False, True, False]])
    prover = deployed(three_regions, THREE, predict=1)
    inputs = at(0.0, allowed=allowed, allowed_view="location")
    for purpose in (Purpose.SELECT, Purpose.PREDICT):
        assert prover.decide(inputs, purpose)[THREE].tolist() == [1]
    rows = next(prover.prove([Claim(inputs, {THREE: 1})])).rows
    assert (rows[THREE].own, rows[THREE].radii) == (torch.inf, (torch.inf, 0.0, torch.inf))


def test_a_claim_on_a_child_that_is_not_allowed_proves_nothing_of_it():
    inputs = at(0.0, allowed=torch.tensor([[True, True, False]]), allowed_view="location")
    row = next(deployed(three_regions, THREE).prove([Claim(inputs, {THREE: 2})])).rows[THREE]
    assert (row.own, row.radii) == (0.0, (0.0, 0.0, 0.0))


# --- what an attack climbs ----------------------------------------------------------------------------


def test_scores_are_log_probabilities_averaged_over_attack_draws():
    prover = deployed(three_regions, ROOT_OF_THREE := restricted(parts([0, 1], [2])), sigma=0.7)
    inputs = at(0.2, -0.4, start=5)
    found = prover.scores(inputs, 16, 3)[ROOT_OF_THREE]
    for k, index in enumerate(inputs.index.tolist()):
        noise = standard_normal(0, Purpose.ATTACK, index, 3, (16, 1), CPU)[:, 0]
        z = inputs.views["image"][k] + 0.7 * noise
        probability = torch.stack(three_regions(z), dim=1).softmax(dim=1).mean(dim=0)
        expected = torch.stack([probability[0] + probability[1], probability[2]]).log()
        assert torch.allclose(found[k], expected, atol=1e-6)


def test_scores_can_be_climbed_and_lost_draws_do_not_spoil_them():
    prover = deployed(lambda z: (z, torch.where(z > 1, torch.nan, -z)), BINARY)
    x = torch.zeros(3, 1, requires_grad=True)
    scores = prover.scores(at(0.0, 0.0, 0.0).with_view("image", x), 64, 0)[BINARY]
    assert scores.exp().sum(dim=1).lt(1).all(), "a lost draw gives its share to no child"
    clean = deployed(lambda z: (z, -z), BINARY)
    (gradient,) = torch.autograd.grad(
        clean.scores(at(0.0, 0.0, 0.0).with_view("image", x), 64, 0)[BINARY][:, 0].sum(), x
    )
    assert (gradient > 0).all()


def test_scores_of_children_that_are_not_allowed_are_minus_infinity():
    allowed = torch.tensor([[True, False, True], [True, True, False]])
    prover = deployed(three_regions, THREE, BINARY)
    x = torch.zeros(2, 1, requires_grad=True)
    inputs = at(0.0, 0.0, allowed=allowed, allowed_view="location").with_view("image", x)
    scores = prover.scores(inputs, 32, 0)[THREE]
    assert scores.isneginf().tolist() == [[False, True, False], [False, False, True]]
    assert torch.allclose(scores.exp().sum(dim=1), torch.ones(2))
    (gradient,) = torch.autograd.grad(scores[:, 0].sum(), x)
    assert gradient.isfinite().all()
    assert (gradient < 0).all()


# --- deployment ---------------------------------------------------------------------------------------


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


# --- options ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.0, -0.25, float("inf"), float("nan")])
@pytest.mark.parametrize("component", [Smoothing, Gaussian])
def test_a_sigma_that_is_not_positive_and_finite_is_refused(component, sigma):
    with pytest.raises(ValidationError, match="sigma"):
        component(sigma=sigma)


@pytest.mark.parametrize("sigma", [1e-50, 1e39])
def test_a_sigma_that_float32_noise_cannot_be_scaled_by_is_refused(sigma):
    with pytest.raises(ValidationError, match="sigma"):
        Smoothing(sigma=sigma)


@pytest.mark.parametrize("option", ["draws", "select", "predict", "audit"])
def test_more_draws_than_rounding_errors_are_shown_for_are_refused(option):
    with pytest.raises(ValidationError, match="less than or equal to 10000000"):
        Smoothing(sigma=0.25, stop="grid", **{option: LARGEST_DRAWS + 1})
    Smoothing(sigma=0.25, stop="grid", **{option: LARGEST_DRAWS})


@pytest.mark.parametrize("option", ["draws", "select", "predict", "audit", "tile"])
def test_no_draws_are_refused(option):
    with pytest.raises(ValidationError, match=option):
        Smoothing(sigma=0.25, **{option: 0})


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, float("nan")])
def test_a_level_that_proves_nothing_is_refused(alpha):
    with pytest.raises(ConfigurationError, match="is no level"):
        deployed(boundary(0.0), BINARY, context=Context(alpha=alpha))


def test_the_trainer_suggests_its_sigma_and_no_other_option():
    assert Gaussian(sigma=0.25).certifier() == {"smoothing": {"sigma": 0.25}}
    with pytest.raises(ValidationError):
        Smoothing()


def test_the_tile_the_precision_and_the_generator_are_recorded():
    found = [Smoothing(sigma=0.25, tile=tile).arithmetic("cpu") for tile in (100, 500)]
    assert [arithmetic["tile"] for arithmetic in found] == ["100", "500"]
    assert {**found[0], "tile": ""} == {**found[1], "tile": ""}
    assert found[0]["generator"] == generator_name(CPU)
    assert Smoothing(sigma=0.25, precision="bf16").arithmetic("cuda:1")["dtype"] == "bf16"
    assert Smoothing(sigma=0.25).arithmetic("cuda:1")["device"] == "cuda"


def test_a_budget_above_the_cap_is_told():
    smoothing = Smoothing(sigma=0.25, draws=1000)
    (sentence,) = smoothing.warnings(Threat(L2, (0.25, 0.7)), 0.001)
    assert sentence.startswith("threat.budgets: 0.7 is above 0.616, the largest l2 radius that sigma 0.25")
    assert Smoothing(sigma=0.25).warnings(Threat(L2, (0.25, 0.7)), 0.001) == ()


def test_too_few_draws_are_told():
    (sentence,) = Smoothing(sigma=0.25, draws=9).warnings(Threat(L2, (0.1,)), 0.001)
    assert sentence == "smoothing.draws: 9 draws certify nothing at alpha 0.001; take at least 10"


def test_components_import_no_torch():
    modules = ["plugin", "certifier", "trainer", "statistics"]
    program = "import sys; " + "; ".join(f"import hiercls_plugins.smoothing.{module}" for module in modules)
    subprocess.run([sys.executable, "-c", program + "; assert 'torch' not in sys.modules"], check=True)


# --- training -----------------------------------------------------------------------------------------


def test_training_on_noise_learns_the_smoothed_boundary():
    torch.manual_seed(0)
    y = torch.arange(400) % 2
    x = torch.randn(400, 2) * 0.1 + torch.stack([y * 2.0 - 1.0, torch.zeros(400)], dim=1)
    task = Task(x, y, x[:0], y[:0], tuple(parts([0], [1])), EVERYWHERE)
    trainer = Gaussian(sigma=0.5, schedule=Schedule(epochs=5, rate=0.05))
    network = trainer.fit(nn.Linear(2, 2), task, Context())
    again = trainer.fit(nn.Linear(2, 2), task, Context())
    assert not network.training
    prover = Smoothing(sigma=0.5, draws=1000).deploy(network, (BINARY,), "image", Context())
    decided = prover.decide(Inputs(torch.arange(50), {"image": x[:50]}), Purpose.PREDICT)[BINARY]
    assert torch.equal(decided, y[:50])
    assert again.weight.shape == network.weight.shape


def test_the_objective_sees_fresh_unclipped_noise_named_by_its_step():
    from hiercls.contracts.fitting import Moment
    from hiercls_plugins.smoothing.noise import NoisyCrossEntropy

    seen = []

    class Watching(nn.Linear):
        def forward(self, x):
            seen.append(x)
            return super().forward(x)

    network, x, y = Watching(3, 2), torch.zeros(5000, 3), torch.zeros(5000, dtype=torch.int64)

    def loss(step):
        moment = Moment(0, step, 10, 1, torch.Generator().manual_seed(step))
        return NoisyCrossEntropy(2.0).loss(network, x, y, moment)

    assert loss(1) == loss(1) != loss(2)
    assert seen[0].std() == pytest.approx(2.0, rel=0.03)
    assert torch.nn.functional.cross_entropy(network(seen[0]), y) == loss(1)


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


def test_radii_are_in_units_of_the_sigma_that_float32_noise_is_scaled_by():
    """0.7 is not a float32: the noise has another standard deviation, and so has the claim."""
    row = proved(deployed(lambda x: (x * 0 + 1, x * 0), BINARY, sigma=0.7), 0.0, {BINARY: 0})[BINARY]
    assert row.evidence["sigma"] == float(np.float32(0.7)) < 0.7
    exact = float(np.float32(0.7)) * norm.ppf(0.001 ** (1 / 2000))
    assert exact * (1 - 1e-12) < row.own <= exact


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
