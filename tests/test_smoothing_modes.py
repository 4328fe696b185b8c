"""Stopping of the smoothing engine: what a stopped row claims, and which ways to stop there are."""

from math import inf, nextafter, sqrt

import pytest
import torch
from modes_toys import GRID, Half, claims, deployed, nine_images, normed_network, rows
from pydantic import ValidationError
from smoothing_toys import BINARY
from torch import nn

from hiercls.contracts.provers import Claim
from hiercls.values.draws import Purpose
from hiercls.values.heads import ABSTAIN
from hiercls.values.views import Inputs
from hiercls.whole.plan import identity
from hiercls.words.norms import L2, LINF, radius_factor
from hiercls.words.threats import Threat
from hiercls_plugins.smoothing.certifier import Smoothing
from hiercls_plugins.smoothing.grid import SMALLEST_RADIUS
from hiercls_plugins.smoothing.sequential import spending

network, images = normed_network, nine_images


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
