"""Balls, domains and steps, against closed forms, scipy and brute force."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from hiercls.values.perturbations import diameter, distance, project, random_in_ball, steepest, within
from hiercls.words.norms import L1, L2, LINF, Norm
from hiercls.words.threats import EVERYWHERE, Domain

NORMS = [LINF, L2, L1, Norm(3.0), Norm(1.5)]
DOMAINS = [
    EVERYWHERE,
    Domain(),
    Domain("box", 0.1, 0.7),
    Domain("box", -0.1, 0.1),
    Domain("grid"),
    Domain("grid", -1.0, 1.0, 16),
]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def inside(domain, shape, generator):
    """Random clean inputs of a domain, some of them on its border."""
    unit = (torch.rand(shape, generator=generator) * 1.4 - 0.2).clamp(0, 1)
    if domain.kind == "all":
        return unit * 6 - 3
    if domain.kind == "grid":
        unit = (unit * domain.levels).round().double() / domain.levels
    x = (domain.lower + unit.double() * (domain.upper - domain.lower)).float()
    outside = (x.double() > domain.upper) | (x.double() < domain.lower)
    return torch.where(outside, torch.nextafter(x, torch.zeros(())), x)


def euclid(x, y, p):
    """The l_p distance with Python's own floats."""
    gaps = [abs(a - b) for a, b in zip(x.flatten().tolist(), y.flatten().tolist(), strict=True)]
    return max(gaps) if math.isinf(p) else math.fsum(gap**p for gap in gaps) ** (1 / p)


@pytest.mark.parametrize("norm", NORMS, ids=str)
def test_distance_is_the_norm_of_the_difference(norm):
    x, y = torch.rand(4, 2, 3, 3), torch.rand(4, 2, 3, 3)
    found = distance(x, y, norm)
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx([euclid(a, b, norm.p) for a, b in zip(x, y, strict=True)], rel=1e-12)


@settings(max_examples=150, deadline=None)
@given(
    norm=st.sampled_from(NORMS),
    domain=st.sampled_from(DOMAINS),
    budget=st.one_of(st.just(0.0), st.floats(1e-9, 3.0), st.sampled_from([8 / 255, 0.1, 1 / 255, math.inf])),
    seed=st.integers(0, 10**6),
)
def test_within_is_strictly_inside_the_ball_and_the_domain(norm, domain, budget, seed):
    generator = seeded(seed)
    clean = inside(domain, (5, 2, 3), generator)
    moved = clean + torch.randn(5, 2, 3, generator=generator) * 2 * min(budget, 2.0)
    moved[0, 0, 0] = torch.nan
    moved[1, 0, 0] = torch.inf
    found = within(moved, clean, torch.full((5,), budget, dtype=torch.float64), norm, domain)
    assert found.dtype == torch.float32
    assert torch.equal(found[:2], clean[:2])
    assert bool((distance(found, clean, norm) <= budget).all())
    if domain.bounded:
        assert domain.lower <= float(found.min())
        assert float(found.max()) <= domain.upper
    if domain.kind == "grid":
        steps = (found.double() - domain.lower) * domain.levels / (domain.upper - domain.lower)
        assert float((steps - steps.round()).abs().max()) < 1e-4


@pytest.mark.parametrize("norm", NORMS, ids=str)
def test_within_gives_up_almost_nothing(norm):
    clean = torch.rand(50, 30, generator=seeded()) * 0.2 + 0.4
    budget = torch.full((50,), 0.1, dtype=torch.float64)
    far = clean + torch.randn(50, 30, generator=seeded(1))
    found = within(far, clean, budget, norm, EVERYWHERE)
    assert bool((distance(found, clean, norm) >= 0.1 * (1 - 1e-5)).all())


def test_within_leaves_a_point_that_is_inside_as_it_is():
    clean = torch.rand(20, 30, generator=seeded())
    near = (clean + 0.01 * torch.randn(20, 30, generator=seeded(1))).clamp(0, 1)
    assert torch.equal(within(near, clean, torch.ones(20), L2, Domain()), near)


def test_on_a_grid_every_entry_takes_the_steps_that_fit():
    clean = torch.tensor([[10.0, 10.0, 250.0, 3.0]]) / 255
    moved = clean + torch.tensor([[2.6, -2.6, 9.0, -9.0]]) / 255
    found = project(moved, clean, torch.tensor([4.2 / 255]), LINF, Domain("grid"))
    assert (found * 255).round().tolist() == [[12.0, 8.0, 254.0, 0.0]]


def test_on_a_grid_a_budget_of_whole_steps_is_that_many_up_to_rounding():
    clean = torch.arange(256).float()[None] / 255
    for steps in (1, 2, 8, 100):
        found = project(clean + 1.0, clean, torch.tensor([steps / 255]), LINF, Domain("grid"))
        assert torch.equal((found * 255).round()[0], (torch.arange(256.0) + steps).clamp_max(255))


def test_on_a_grid_a_budget_of_whole_steps_loses_at_most_one_of_them():
    clean = torch.arange(256).float()[None] / 255
    budget = torch.tensor([8 / 255], dtype=torch.float64)
    found = within(clean + 1.0, clean, budget, LINF, Domain("grid"))
    taken = ((found - clean) * 255).round()[0, :248]
    assert set(taken.tolist()) <= {7.0, 8.0}
    assert int((taken == 8).sum()) > 80


@pytest.mark.parametrize("norm", [LINF, L2, L1], ids=str)
def test_the_projection_is_the_nearest_point_of_the_ball(norm):
    """It is the one point p of a convex set with (moved - p)(q - p) <= 0 for every q of the set."""
    clean = torch.rand(4, dtype=torch.float64, generator=seeded())[None]
    budget = torch.full((5000,), 0.3, dtype=torch.float64)
    ball = random_in_ball(clean.expand(5000, 4), budget, norm, seeded(2))
    for seed in range(20):
        moved = clean + torch.randn(1, 4, dtype=torch.float64, generator=seeded(seed)) * 0.5
        found = project(moved, clean, budget[:1], norm, EVERYWHERE)
        assert float(distance(found, clean, norm)) <= 0.3 + 1e-12
        assert float(((moved - found) * (ball - found)).sum(dim=1).max()) <= 1e-12


@pytest.mark.parametrize("norm", [LINF, L2, L1], ids=str)
def test_random_points_fill_the_ball_evenly(norm):
    entries, budget = 3, torch.full((4000,), 0.5, dtype=torch.float64)
    clean = torch.rand(4000, entries, generator=seeded())
    found = random_in_ball(clean, budget, norm, seeded(1))
    share = (distance(found, clean, norm) / 0.5) ** entries  # the volume law: uniform on [0, 1]
    assert kstest(share.numpy(), "uniform").pvalue > 0.01
    offset = found - clean
    assert bool((offset.mean(dim=0).abs() < 0.02).all())
    assert kstest(offset[:, 0].numpy(), offset[:, 2].numpy()).pvalue > 0.01


def test_a_rows_own_generator_frees_it_from_its_neighbours():
    clean, budget = torch.rand(5, 7), torch.ones(5, dtype=torch.float64)
    together = random_in_ball(clean, budget, L2, [seeded(k) for k in range(5)])
    alone = random_in_ball(clean[3:4], budget[3:4], L2, [seeded(3)])
    assert torch.equal(together[3:4], alone)
    assert random_in_ball(clean[:0], budget[:0], L2, []).shape == (0, 7)


@pytest.mark.parametrize("norm", [*NORMS, Norm(50.0)], ids=str)
@pytest.mark.parametrize("scale", [1.0, 1e-20, 1e10])
def test_the_steepest_step_has_length_one_and_attains_the_dual_norm(norm, scale):
    gradient = torch.randn(6, 2, 5, dtype=torch.float64, generator=seeded()) * scale
    step = steepest(gradient, norm)
    climbed = (step * gradient).flatten(1).sum(dim=1)
    assert distance(step, torch.zeros_like(step), norm).tolist() == pytest.approx([1.0] * 6)
    assert climbed.tolist() == pytest.approx(distance(gradient, torch.zeros_like(gradient), norm.dual).tolist())


@pytest.mark.parametrize("norm", NORMS, ids=str)
def test_a_flat_function_gives_no_step(norm):
    assert torch.equal(steepest(torch.zeros(2, 3), norm), torch.zeros(2, 3))


def test_the_diameter_is_the_distance_of_opposite_corners():
    domain = Domain("box", -1.0, 2.0)
    for norm in NORMS:
        corners = distance(torch.full((1, 8), 2.0), torch.full((1, 8), -1.0), norm)
        assert diameter(domain, norm, 8) == pytest.approx(float(corners))
    assert math.isinf(diameter(EVERYWHERE, L2, 8))
