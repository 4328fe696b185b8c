"""Projected ascent against functions whose largest value in a ball is known."""

from dataclasses import dataclass
from itertools import product

import pytest
import torch

from hiercls.contracts.ascent import ascend
from hiercls.contracts.components import Goal
from hiercls.contracts.context import Context
from hiercls.values.heads import retrained
from hiercls.values.perturbations import distance
from hiercls.values.views import Inputs
from hiercls.words.norms import L1, L2, LINF, Norm
from hiercls.words.threats import EVERYWHERE, Domain, Threat
from hiercls_plugins.pgd.components import Pgd
from hiercls_plugins.pgd.margin import margin

NORMS = [LINF, L2, L1, Norm(3.0)]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def linear(entries=12):
    slope = torch.randn(entries, generator=seeded(7))
    return slope, lambda x, step: x.flatten(1) @ slope


def climb(value, clean, budget, norm, domain, steps=50, step=0.25, restarts=1, generator=None):
    return ascend(
        value, clean, budget, norm, domain, steps=steps, step=step, restarts=restarts, generator=generator or seeded()
    )


@pytest.mark.parametrize("norm", NORMS, ids=str)
def test_a_linear_function_is_climbed_to_the_dual_norm(norm):
    slope, value = linear()
    clean = torch.rand(6, 3, 4, generator=seeded(1))
    budget = torch.linspace(0.1, 2.0, 6, dtype=torch.float64)
    moved = climb(value, clean, budget, norm, EVERYWHERE)
    gained = (value(moved, 0) - value(clean, 0)).double()
    largest = budget * distance(slope[None], torch.zeros(1, 12), norm.dual)
    assert bool((gained <= largest * (1 + 1e-5)).all())
    assert bool((gained >= largest * 0.995).all())
    assert bool((distance(moved, clean, norm) <= budget).all())


def test_in_a_box_linf_ascent_ends_in_the_best_corner():
    slope, value = linear()
    clean = torch.rand(6, 12, generator=seeded(1))
    moved = climb(value, clean, torch.full((6,), 0.3), LINF, Domain())
    assert torch.allclose(moved, (clean + 0.3 * slope.sign()).clamp(0, 1), atol=1e-5)


def test_in_a_box_l1_ascent_fills_the_steepest_entries_first():
    slope, value = linear()
    clean = torch.rand(6, 12, generator=seeded(1))
    moved = climb(value, clean, torch.full((6,), 1.0), L1, Domain(), steps=200)
    room = torch.where(slope > 0, 1 - clean, clean)
    for k in range(6):
        left, best = 1.0, 0.0
        for entry in slope.abs().argsort(descending=True).tolist():
            used = min(left, float(room[k, entry]))
            left, best = left - used, best + used * abs(float(slope[entry]))
        assert float(value(moved[k : k + 1], 0) - value(clean[k : k + 1], 0)) >= 0.97 * best


def test_on_a_grid_the_best_grid_point_is_found():
    domain = Domain("grid", levels=10)
    slope, value = linear(3)
    clean = torch.tensor([[0.5, 0.2, 0.9]])
    moved = climb(value, clean, torch.tensor([0.2001]), LINF, domain, step=0.3)
    around = [torch.tensor([[k / 10 for k in place]]) for place in product(range(11), repeat=3)]
    best = max(float(value(x, 0)) for x in around if float(distance(x, clean, LINF)) <= 0.2001)
    assert float(value(moved, 0)) == pytest.approx(best, abs=1e-6)
    assert (moved * 10).tolist()[0] == pytest.approx((moved * 10).round().tolist()[0], abs=1e-5)


def test_a_step_smaller_than_the_grid_still_moves():
    slope, value = linear(3)
    clean = torch.full((1, 3), 0.5)
    moved = climb(value, clean, torch.tensor([0.4001]), LINF, Domain("grid", levels=10), step=0.1)
    assert torch.allclose(moved, 0.5 + 0.4 * slope.sign()[None], atol=1e-5)


def test_a_row_without_a_budget_stays_clean():
    _, value = linear()
    clean = torch.rand(3, 12, generator=seeded(1))
    moved = climb(value, clean, torch.tensor([0.0, 0.5, 0.0]), L2, Domain(), restarts=3)
    assert torch.equal(moved[[0, 2]], clean[[0, 2]])
    assert not torch.equal(moved[1], clean[1])


def test_the_best_point_on_the_way_is_kept_not_the_last():
    visited = []

    def peaked(x, step):
        visited.append(x.detach().clone())
        return x.sum(dim=1) * 0 + (3.0 if step == 2 else 1.0) + x.sum(dim=1) * 1e-6

    moved = climb(peaked, torch.zeros(1, 4), torch.tensor([1.0]), LINF, EVERYWHERE, steps=6, step=0.1)
    assert torch.allclose(moved, visited[2], atol=1e-6)
    assert not torch.allclose(moved, visited[-1], atol=1e-3)


def test_several_restarts_find_the_higher_of_two_hills():
    def hills(x, step):
        return torch.maximum(-(x[:, 0] + 0.2).abs(), 2 - 10 * (x[:, 0] - 0.9).abs())

    clean, budget = torch.zeros(1, 1), torch.tensor([1.0])
    best = [float(hills(climb(hills, clean, budget, LINF, EVERYWHERE, restarts=r, step=0.1), 0)) for r in (1, 40)]
    assert best[1] > 1.0 > best[0]


def test_the_first_of_several_restarts_starts_clean_and_a_single_one_does_not():
    seen = []

    def watched(x, step):
        seen.append(x.detach().clone())
        return x.sum(dim=1)

    clean = torch.full((1, 4), 0.5)
    climb(watched, clean, torch.tensor([0.2]), L2, Domain(), steps=1, restarts=1)
    climb(watched, clean, torch.tensor([0.2]), L2, Domain(), steps=1, restarts=2)
    assert not torch.equal(seen[0], clean)
    assert torch.equal(seen[2], clean)
    assert not torch.equal(seen[4], clean)


def test_values_that_are_not_numbers_never_win():
    def broken(x, step):
        return torch.where(x.sum(dim=1) > 0.1, torch.nan, x.sum(dim=1))

    moved = climb(broken, torch.zeros(4, 3), torch.ones(4), LINF, EVERYWHERE, restarts=3)
    assert bool((broken(moved, 0) <= 0.1).all())
    nowhere = climb(lambda x, step: x.sum(dim=1) * torch.nan, torch.zeros(4, 3), torch.ones(4), LINF, EVERYWHERE)
    assert torch.equal(nowhere, torch.zeros(4, 3))


def test_an_infinite_budget_reaches_the_whole_box_and_needs_one():
    slope, value = linear()
    clean = torch.rand(2, 12, generator=seeded(1))
    moved = climb(value, clean, torch.full((2,), torch.inf), LINF, Domain())
    assert torch.equal(moved, (slope > 0).float().expand(2, -1))
    with pytest.raises(ValueError, match="infinite radius needs a bounded domain"):
        climb(value, clean, torch.full((2,), torch.inf), LINF, EVERYWHERE)


def test_climbing_leaves_no_gradient_on_the_network():
    network = torch.nn.Linear(5, 1)
    with torch.no_grad():
        climb(lambda x, step: network(x).squeeze(1), torch.rand(3, 5), torch.ones(3), LINF, Domain())
    assert network.weight.grad is None


@dataclass
class Affine:
    """A prover of three children with linear scores, one of them perhaps not allowed."""

    weight: torch.Tensor
    head: object
    blocked: int | None = None

    def scores(self, inputs, draws, step):
        scores = inputs.views["image"].flatten(1) @ self.weight.T
        if self.blocked is not None:
            scores = scores - torch.zeros(3).index_fill(0, torch.tensor(self.blocked), torch.inf)
        return {self.head: scores}


def attacked(targets, blocked=None, rows=slice(None), norm=LINF, attack=None):
    head = retrained([frozenset({k}) for k in range(3)])
    prover = Affine(torch.randn(3, 8, generator=seeded(3)), head, blocked)
    index = torch.arange(4)
    inputs = Inputs(index, {"image": torch.rand(4, 8, generator=seeded(4)), "lidar": torch.zeros(4, 1)})[rows]
    context = Context(threat=Threat(norm, (0.1,)))
    goal = Goal(head, torch.tensor(targets).expand(len(inputs), 3))
    found = (attack or Pgd()).perturb(
        prover, inputs, goal, torch.full((len(inputs),), 0.2, dtype=torch.float64), context
    )
    return prover, inputs, found


@pytest.mark.parametrize("norm", [LINF, L2], ids=str)
def test_the_attack_reaches_the_best_margin_of_a_linear_classifier(norm):
    prover, inputs, found = attacked([False, True, False], blocked=2, norm=norm)
    slope = prover.weight[1] - prover.weight[0]
    if norm == LINF:
        best = (inputs.views["image"] + 0.2 * slope.sign()).clamp(0, 1) @ slope
        assert torch.allclose(found @ slope, best, atol=1e-4)
    assert bool((distance(found, inputs.views["image"], norm) <= 0.2).all())
    assert bool((found @ slope > inputs.views["image"] @ slope).all())


def test_several_targets_are_one_goal():
    prover, inputs, found = attacked([False, True, True])
    scores = found @ prover.weight.T
    singly = [attacked([False, k == 1, k == 2])[2] @ prover.weight.T for k in (1, 2)]
    reached = (scores[:, 1:].amax(1) - scores[:, 0]).tolist()
    best = torch.stack([one[:, k] - one[:, 0] for k, one in zip((1, 2), singly, strict=True)]).amax(0)
    assert reached >= (best - 1e-3).tolist()


def test_an_attack_without_a_target_that_is_allowed_stays_clean():
    _, inputs, found = attacked([False, False, True], blocked=2)
    assert torch.equal(found, inputs.views["image"])


def test_an_input_is_attacked_the_same_way_in_any_batch():
    brief = Pgd(steps=1, restarts=1, step=0.1)
    _, _, together = attacked([False, True, False], attack=brief)
    _, _, alone = attacked([False, True, False], attack=brief, rows=slice(2, 3))
    assert torch.allclose(together[2:3], alone, atol=1e-6)


def test_the_margin_is_the_best_target_over_the_best_other():
    scores = torch.tensor([[1.0, 4.0, 2.0], [1.0, -torch.inf, 2.0]])
    assert margin(scores, torch.tensor([[True, False, True], [False, True, False]])).tolist() == [-2.0, -torch.inf]
