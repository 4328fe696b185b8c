"""Stopping, mixing, noise and memory of the smoothing engine, on real networks."""

import json
from math import inf, nextafter, sqrt

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.stats import binom, kstest, norm
from torch import nn

from hiercls.contracts.context import Context
from hiercls.contracts.provers import Claim
from hiercls.values.draws import Purpose
from hiercls.values.heads import ABSTAIN, restricted
from hiercls.values.views import Inputs
from hiercls.whole.plan import identity
from hiercls.words.errors import ConfigurationError, DeviceError, OutsideDomain
from hiercls.words.norms import L2, LINF, radius_factor
from hiercls.words.threats import EVERYWHERE, Domain, Threat
from hiercls_plugins.smoothing.certifier import Smoothing
from hiercls_plugins.smoothing.grid import SMALLEST_RADIUS
from hiercls_plugins.smoothing.sequential import looks, spending, tail_slack
from hiercls_plugins.smoothing.sources import Narrow, Stepped
from hiercls_plugins.smoothing.statistics import confirms, one_sided, two_sided

FLAT = restricted([frozenset({k}) for k in range(6)])
ROOT = restricted([frozenset({0, 1, 2}), frozenset({3, 4, 5})])
LEFT = restricted([frozenset({k}) for k in (0, 1, 2)])
RIGHT = restricted([frozenset({k}) for k in (3, 4, 5)])
HEADS = (FLAT, ROOT, LEFT, RIGHT)
BINARY = restricted([frozenset({0}), frozenset({1})])
GRID = {"grid": {"radii": [0, 0.1, 0.3]}}
STEPS = Domain("grid", 0.0, 1.0, 255)


class Half(nn.Module):
    """Label 0 where the mean entry is at most `place`: its radius is the distance to a hyperplane."""

    def __init__(self, place):
        super().__init__()
        self.place = place

    def forward(self, x):
        margin = self.place - x.flatten(1).mean(dim=1)
        return torch.stack([margin, -margin], dim=1)


@pytest.fixture
def network():
    torch.manual_seed(4)
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(128, 6)).eval()


@pytest.fixture
def images():
    torch.manual_seed(3)
    return Inputs(torch.arange(9) + 40, {"image": torch.rand(9, 1, 6, 6)})


def deployed(network, heads=HEADS, context=None, **options):
    return Smoothing(**{"sigma": 0.5, "draws": 2000, **options}).deploy(network, heads, "image", context or Context())


def claims(prover, inputs, heads=None):
    """Claims on what selection draws name, on every decision."""
    named = prover.decide(inputs, Purpose.SELECT)
    heads = prover.heads if heads is None else heads
    return [Claim(inputs[k : k + 1], {head: int(named[head][k]) for head in heads}) for k in range(len(inputs))]


def rows(prover, asked):
    return {proof.index: proof.rows for proof in prover.prove(iter(asked))}


# --- the same rows, however they are computed ------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"stop": GRID},
        {"stop": {"tolerance": 0.1}, "block": 50, "tile": 250},
        {"stop": GRID, "column": "two-sided", "tile": 300},
        {"stop": GRID, "rule": "pairwise", "tile": 300},
        {"block": 100, "tile": 400, "draws": 950},
    ],
)
def test_rows_do_not_depend_on_batch_order_neighbours_heads_or_shards(network, images, options):
    def found(pick=slice(None), batch=4096, heads=HEADS):
        prover = deployed(network, context=Context(batch=batch), **options)
        return rows(prover, claims(prover, images, heads)[pick])

    whole = found()
    assert whole == found(batch=1)
    assert whole == found(slice(None, None, -1), batch=3)
    assert whole == found(slice(0, None, 2)) | found(slice(1, None, 2)), "two shards"
    assert {index: {LEFT: row[LEFT]} for index, row in whole.items()} == found(heads=(LEFT,))
    assert json.loads(json.dumps([dict(row.evidence) for row in whole[44].values()]))


def test_counts_at_every_look_are_of_exactly_the_first_draws(network, images):
    """Against a fixed number of draws, for every look of a stopped row; blocks have the same shape in both."""
    prover = deployed(network, stop=GRID)
    claim = claims(prover, images)[1]
    for head, row in rows(prover, [claim])[41].items():
        told = row.evidence
        assert told["looks"] == list(looks(2000, 100, step=100))
        assert told["draws"] == told["looks"][len(told["seen"]) - 1]
        for draws, seen in zip(told["looks"], told["seen"], strict=False):
            fixed = deployed(network, draws=draws, block=100, layout="channels-last")
            assert rows(fixed, [claim])[41][head].evidence["counts"][row.chosen] == seen


def test_a_tile_of_many_inputs_counts_what_a_plain_loop_counts():
    """Each input is near another boundary value, so that a swapped place would show."""
    places = [(0.1 * k, k) for k in range(7)]
    inputs = Inputs(torch.arange(7), {"image": torch.tensor([[place] for place, _ in places])})
    prover = deployed(Half(0.3), (BINARY,), sigma=1.0, draws=630, block=50, tile=200)
    found = rows(prover, [Claim(inputs[k : k + 1], {BINARY: 0}) for k in range(7)])
    for place, k in places:
        noise = torch.cat([prover.votes.source.noisy(torch.zeros(1, 1), Purpose.ESTIMATE, k, b, 50) for b in range(13)])
        below = int((torch.tensor(place) + noise[:, 0] <= 0.3)[:630].sum())
        assert found[k][BINARY].evidence["counts"] == [below, 630 - below, 0]


def test_decisions_of_mixed_tiles_are_those_of_single_ones(network, images):
    for rule in ("plurality", "pairwise"):
        mixed = deployed(network, rule=rule, block=100, tile=400)
        single = deployed(network, rule=rule, tile=100)
        for purpose in (Purpose.SELECT, Purpose.PREDICT):
            one, other = mixed.decide(images, purpose), single.decide(images, purpose)
            assert all(torch.equal(one[head], other[head]) for head in HEADS)


def test_claims_are_pulled_no_further_ahead_than_the_batch_and_refilled(network, images):
    prover = deployed(network, stop=GRID, tile=400, context=Context(batch=3))
    asked, pulled = claims(prover, images), []

    def handed():
        for claim in asked:
            pulled.append(claim.index)
            yield claim

    for finished, _ in enumerate(prover.prove(handed())):
        assert len(pulled) - finished <= 3
    assert len(pulled) == 9


def test_an_input_goes_on_until_every_node_has_decided_and_each_keeps_its_own_stop(network, images):
    prover = deployed(network, stop=GRID)
    asked = claims(prover, images)
    stops = [{row.evidence["draws"] for row in found.values()} for found in rows(prover, asked).values()]
    assert any(len(each) > 1 for each in stops), "some path has nodes that stop at different looks"


# --- what a stopped row claims ---------------------------------------------------------------------------


def half(distance, sigma=1.0, **options):
    prover = deployed(Half(distance), (BINARY,), sigma=sigma, **options)
    return rows(prover, [Claim(Inputs(torch.arange(1), {"image": torch.zeros(1, 1)}), {BINARY: 0})])[0][BINARY]


def test_a_clear_input_stops_early_at_the_largest_radius_of_the_grid():
    row = half(2.0, draws=100_000, stop=GRID)
    assert (row.own, row.radii) == (0.3, (0.0, 0.3))
    assert row.evidence["stop"] == {"grid": [0.0, 0.1, 0.3], "reason": "certified"}
    assert row.evidence["draws"] <= 200
    assert row.evidence["weights"] == list(spending(len(row.evidence["looks"])))
    assert not {"lower", "own"} & row.evidence.keys(), "a stopped count says nothing but which boundaries it reached"


def test_radius_zero_is_a_claim_of_its_own_and_is_stored_as_the_smallest_float():
    row = half(0.05, draws=100_000, stop={"grid": {"radii": [0, 0.3]}})
    assert row.own == SMALLEST_RADIUS > 0


def test_a_hopeless_input_is_given_up():
    row = half(-1.0, draws=100_000, stop=GRID)
    assert row.own == 0
    assert row.evidence["stop"]["reason"] == "given up"
    assert row.evidence["draws"] <= 200


def test_a_radius_within_its_tolerance_is_below_the_truth_and_near_it():
    row = half(0.5, draws=100_000, stop={"tolerance": 0.05})
    assert 0.45 < row.own <= 0.5
    assert 1000 < row.evidence["draws"] < 60_000


def test_draws_that_cannot_reach_a_radius_certify_none():
    row = half(10.0, draws=100, stop={"grid": {"radii": [3.0]}})
    assert row.own == 0
    assert half(10.0, draws=5, stop={"tolerance": 0.05}).own == 0


@pytest.mark.parametrize("stop", [GRID, {"tolerance": 0.05}, "fixed"])
@pytest.mark.parametrize("rule", ["plurality", "pairwise"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_network_without_finite_answers_is_certified_nowhere(stop, rule, value):
    class Broken(nn.Module):
        def forward(self, x):
            return torch.full((len(x), 2), value)

    prover = deployed(Broken(), (BINARY,), stop=stop, rule=rule, draws=500)
    inputs = Inputs(torch.arange(1), {"image": torch.zeros(1, 1)})
    assert prover.decide(inputs, Purpose.PREDICT)[BINARY].tolist() == [ABSTAIN]
    row = rows(prover, [Claim(inputs, {BINARY: 0})])[0][BINARY]
    assert (row.own, row.radii) == (0.0, (0.0, 0.0))


def test_a_tree_of_restricted_nodes_draws_as_often_as_its_most_wanting_node(network, images):
    """One stream serves flat classifier and tree: no node adds draws of its own."""
    prover = deployed(network, stop=GRID)
    shown = []
    prover.votes.passes.network.register_forward_pre_hook(lambda _, given: shown.append(len(given[0])))
    asked = claims(prover, images)
    shown.clear()
    most = sum(max(row.evidence["draws"] for row in found.values()) for found in rows(prover, asked).values())
    assert sum(shown) == most


# --- options ------------------------------------------------------------------------------------------------


def test_the_grid_is_by_default_zero_and_the_budgets():
    budgets = Threat(L2, (0.25, 0.5))
    smoothing = Smoothing(sigma=0.5, stop="grid")
    assert smoothing == Smoothing(sigma=0.5, stop={"grid": {}}) == Smoothing(sigma=0.5, stop={"grid": None})
    assert smoothing.goals(budgets, 10) == (0.0, 0.25, 0.5)
    assert smoothing.uses_budgets
    named = Smoothing(sigma=0.5, stop={"grid": {"radii": [0.5, 0, 0.25, 0.5]}})
    assert named.goals(budgets, 10) == (0.0, 0.25, 0.5)
    assert not named.uses_budgets
    assert not Smoothing(sigma=0.5).uses_budgets


@pytest.mark.parametrize("budget", [0.1, 8 / 255, 2 / 255, 1e-3])
@pytest.mark.parametrize("entries", [4, 784, 3072])
def test_a_budget_in_another_norm_is_served_by_its_grid_radius(budget, entries):
    (_, radius) = Smoothing(sigma=0.5, stop="grid").goals(Threat(LINF, (budget,)), entries)
    converted = nextafter(radius * radius_factor(L2, LINF, entries), 0.0)
    assert budget <= converted <= budget * (1 + 1e-12)
    assert radius == pytest.approx(budget * sqrt(entries))


def test_options_that_differ_from_the_defaults_are_in_the_key_and_no_others():
    assert identity(Smoothing(sigma=0.5))["options"] == {"sigma": 0.5}
    assert identity(Smoothing(sigma=0.5, stop={"tolerance": 0.05}))["options"]["stop"] == {"tolerance": 0.05}
    plain = Smoothing(sigma=0.5).arithmetic("cpu")
    assert plain.keys() == {"device", "dtype", "tile", "folding", "generator"}
    assert plain["tile"] == "500"
    stopped = Smoothing(sigma=0.5, stop="grid")
    assert (stopped.arithmetic("cpu")["tile"], stopped.arithmetic("cpu")["layout"]) == ("100", "channels-last")
    assert stopped.arithmetic("cuda:0").items() >= {"tile": "4000", "block": "100"}.items()
    assert Smoothing(sigma=0.5, noise="float32").arithmetic("cpu")["generator"] == "torch-cpu-float32-runs-of-16"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"stop": "sometimes"}, "fixed"),
        ({"stop": {"tolerance": 1.0}}, "less than 1"),
        ({"stop": {"tolerance": -0.1}}, "greater than or equal to 0"),
        ({"stop": {"grid": {"radii": [-1.0]}}}, "finite and at least 0"),
        ({"stop": {"grid": {"radii": [inf]}}}, "finite and at least 0"),
        ({"stop": {"grid": {"radii": []}}}, "at least one radius"),
        ({"stop": "grid", "tile": 250}, "take a multiple of 100"),
        ({"rule": "pairwise", "column": "two-sided"}, "two-sided bounds are for the plurality rule"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, said):
    with pytest.raises(ValidationError, match=said):
        Smoothing(sigma=0.5, **options)


def test_named_radii_above_the_cap_are_told():
    smoothing = Smoothing(sigma=0.25, draws=1000, stop={"grid": {"radii": [0.1, 0.9]}})
    (sentence,) = smoothing.warnings(Threat(L2), 0.001)
    assert sentence.startswith("smoothing.stop.grid.radii: 0.9 is above 0.616")


# --- noise --------------------------------------------------------------------------------------------------


def test_float32_draws_are_normal_and_no_two_draws_share_a_pair():
    source = Narrow(0, 1.0)
    block = source.noisy(torch.zeros(1, 5), Purpose.ESTIMATE, 0, 0, 50_000)
    assert kstest(block.flatten().numpy(), "norm").pvalue > 1e-4
    whole = source.noisy(torch.zeros(1, 16), Purpose.ESTIMATE, 0, 0, 50_000)
    assert torch.equal(block, whole[:, :5])
    assert block.abs().max() < 5.768


def test_slack_is_charged_to_every_bound_and_test():
    counts = np.array([900, 60, 40, 0])
    for bounds in (one_sided, two_sided):
        free, charged = bounds(counts, 0, 1.0, 0.001), bounds(counts, 0, 1.0, 0.001, 0.01)
        assert charged.lower == pytest.approx(free.lower - 0.01)
        assert charged.own < free.own
        assert all(charged.targeted[1:] < free.targeted[1:])
    assert one_sided(counts, 0, 1.0, 0.001, 0.01).own == pytest.approx(norm.ppf(free.lower - 0.01), abs=0.01)
    assert confirms(np.array([560, 440, 0]), 0, 0.001)
    assert not confirms(np.array([560, 440, 0]), 0, 0.001, 0.05)


def test_a_candidate_with_slack_is_confirmed_at_most_alpha_often_at_the_worst_lead_that_slack_allows():
    """Draws in which the wrong child leads by 2 slack; exact over both counts."""
    draws, slack, alpha = 200, 0.02, 0.05
    for share in (0.1, 0.3, 0.5):
        wrong = 0.0
        for won in range(draws + 1):
            chance = binom.pmf(won, draws, share + slack)
            if chance < 1e-12:
                continue
            others = np.arange(draws - won + 1)
            against = binom.pmf(others, draws - won, (share - slack) / (1 - share - slack))
            sure = [confirms(np.array([won, k, draws - won - k]), 0, alpha, slack) for k in others]
            wrong += chance * against[sure].sum()
        assert wrong <= alpha


def test_float32_rows_record_their_slack_and_claim_less(network, images):
    prover = deployed(network, noise="float32", sigma=0.5)
    claim = claims(prover, images)[0]
    row = rows(prover, [claim])[40][FLAT]
    assert row.evidence["slack"] == tail_slack(36) > 0
    counts = np.array(row.evidence["counts"])
    assert row.own == one_sided(counts, row.chosen, 0.5, 0.001, tail_slack(36)).own


def test_float32_draws_of_an_unmeasured_device_are_refused(network):
    from hiercls_plugins.smoothing.sources import source

    with pytest.raises(ConfigurationError, match="how cuda cuts the tails of float32 draws is not measured"):
        source("float32", 0, 0.5, EVERYWHERE, torch.device("cuda"))


def test_grid_noise_has_the_masses_of_a_rounded_normal():
    source, sigma = Stepped(0, 0.02, STEPS), 0.02 * 255
    x = torch.tensor([[100 / 255]])
    found = source.noisy(x, Purpose.ESTIMATE, 0, 0, 200_000)
    steps = (found.double() * 255).round()
    assert torch.equal((steps / 255).float(), found), "every noisy input is a grid point, exactly"
    for step in range(-12, 13):
        mass = norm.cdf((step + 0.5) / sigma) - norm.cdf((step - 0.5) / sigma)
        seen = int((steps == 100 + step).sum())
        assert binom.ppf(1e-7, 200_000, mass) <= seen <= binom.isf(1e-7, 200_000, mass)
    assert 0 < source.slack(3072) < 1e-6


def test_grid_noise_is_named_by_more_than_the_32_bits_that_torch_reads_of_a_seed(monkeypatch):
    """Any two seeds that torch's generator on a CPU takes for one; numpy's own generator as the oracle."""
    bits = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5 + 2**32)
    assert torch.equal(*(torch.randn(8, generator=each) for each in bits)), "torch still reads 32 bits"
    source, x = Stepped(3, 0.5, STEPS), torch.full((1, 2), 100 / 255)
    key = np.random.SeedSequence(entropy=3, spawn_key=(Purpose.ESTIMATE.value, 7, 2))
    uniform = (np.random.SFC64(key).random_raw(2000) >> np.uint64(1)) / 2.0**63
    expected = np.rint(norm.ppf(uniform) * 0.5 * 255).reshape(1000, 2)
    found = (source.noisy(x, Purpose.ESTIMATE, 7, 2, 1000).double() * 255).round() - 100
    assert torch.equal(found, torch.from_numpy(expected))


def test_grid_noise_is_never_clipped_and_certifies_on_the_grid_alone():
    domain = Threat(L2, domain=STEPS)
    prover = deployed(Half(1.0), (BINARY,), noise="grid", sigma=0.5, context=Context(threat=domain))
    assert prover.domain == STEPS
    inputs = Inputs(torch.arange(1), {"image": torch.full((1, 4), 128 / 255)})
    assert prover.votes.source.noisy(inputs.views["image"], Purpose.SELECT, 0, 0, 500).min() < -0.5
    row = rows(prover, [Claim(inputs, {BINARY: 0})])[0][BINARY]
    assert 0.8 < row.own <= (1.0 - 128 / 255) * 2 + 1 / 255
    with pytest.raises(OutsideDomain, match="do not lie on the declared grid"):
        prover.decide(Inputs(torch.arange(1), {"image": torch.full((1, 4), 0.5)}), Purpose.SELECT)


def test_grid_noise_off_the_grid_is_refused(network):
    smoothing = Smoothing(sigma=0.5, noise="grid")
    assert "noise: grid speaks of inputs on a grid" in smoothing.refusal(Threat(L2))
    assert smoothing.refusal(Threat(L2, domain=STEPS)) is None
    with pytest.raises(ConfigurationError, match="grid noise needs"):
        smoothing.deploy(network, HEADS, "image", Context())


# --- memory -------------------------------------------------------------------------------------------------


class Cramped(nn.Module):
    """Has room for so many rows."""

    def __init__(self, network, room):
        super().__init__()
        self.network, self.room = network, room

    def forward(self, x):
        if len(x) > self.room:
            raise torch.OutOfMemoryError("no room")
        return self.network(x)


def test_a_full_device_gets_smaller_passes_with_the_same_draws_and_rows_say_so(network, images):
    roomy, cramped = (deployed(network, stop=GRID, tile=400) for _ in range(2))
    cramped.votes.passes.network = Cramped(cramped.votes.passes.network, 120)
    asked = claims(roomy, images)
    found, whole = rows(cramped, asked), rows(roomy, asked)
    for index, row in found.items():
        for head, each in row.items():
            told = dict(each.evidence)
            assert told.pop("passes a tile") == 4
            assert told == whole[index][head].evidence


def test_no_room_for_one_draw_is_an_error(network, images):
    prover = deployed(network)
    prover.votes.passes.network = Cramped(network, 0)
    with pytest.raises(DeviceError, match="cpu has no room for one draw of one input"):
        prover.decide(images[:1], Purpose.SELECT)


@pytest.mark.parametrize(
    ("stop", "told"),
    [
        ({"grid": {"radii": [-1, 0.5]}}, ["found [-1.0, 0.5]; radii are finite and at least 0"]),
        ({"grid": {"radii": []}}, ["found []; at least one radius would be right"]),
        ({"tolerance": 5}, ["Input should be less than 1"]),
        ({"gird": 3}, ["'fixed', 'grid', {grid: {radii: [0.25]}} or {tolerance: 0.05}"]),
        ("tolerance", ["'fixed', 'grid', {grid: {radii: [0.25]}} or {tolerance: 0.05}"]),
        ({"grid": {}, "tolerance": 0.1}, ["Extra inputs are not permitted"]),
    ],
)
def test_of_the_ways_to_stop_only_the_one_that_is_meant_is_judged(stop, told):
    with pytest.raises(ValidationError) as raised:
        Smoothing(sigma=1.0, stop=stop)
    assert [found["msg"].removeprefix("Value error, ") for found in raised.value.errors()] == told
