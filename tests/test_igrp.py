"""Inter-group robustness prioritised training, against the formulas on networks whose bounds are exact."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from ibp_toys import at
from pydantic import ValidationError
from torch import nn

from hiercls.contracts.components import Task
from hiercls.contracts.context import Context
from hiercls.contracts.schedules import Schedule
from hiercls.testing import TrainerConformance
from hiercls.values.labels import flat_tree, grow
from hiercls.words.errors import ConfigurationError
from hiercls.words.threats import EVERYWHERE, Domain
from hiercls_plugins.bounds.training.ramp import Ramp
from hiercls_plugins.crown_ibp.objective import CrownWorstCase
from hiercls_plugins.igrp.objective import GroupedWorstCase, parting_levels
from hiercls_plugins.igrp.trainer import Igrp, IgrpUbs

SHORT = Schedule(epochs=12, batch=32, rate=5e-3, clip=10.0)


class TestIgrpTrainer(TrainerConformance):
    def make(self):
        return Igrp(eps=0.05, ramp=(1, 6), schedule=SHORT)


class TestIgrpUbsTrainer(TrainerConformance):
    def make(self):
        return IgrpUbs(eps=0.05, inner=(0.02,), ramp=(1, 6), schedule=SHORT)


def node(*labels):
    return frozenset(labels)


TREE = grow(
    "abcde",
    {
        node(0, 1, 2, 3, 4): [node(0, 1, 2), node(3, 4)],
        node(0, 1, 2): [node(0, 1), node(2)],
        node(0, 1): [node(0), node(1)],
        node(3, 4): [node(3), node(4)],
    },
)


def test_labels_part_at_the_level_of_their_lowest_common_node():
    levels = parting_levels(TREE, range(5), deepest=9)
    for first in range(5):
        for second in range(5):
            shared = [n for n in TREE.decisions if first in n and second in n]
            expected = -1 if first == second else max(TREE.level(n) for n in shared)
            assert levels[first, second] == expected
    assert parting_levels(TREE, range(5), deepest=1).max() == 1


def exact(weight, bias, x, y, budget):
    """Lowest and highest y_truth - y_j of a linear network over a ball without a domain."""
    rows = weight[y][:, None] - weight[None]
    middle = (rows @ x[:, :, None]).squeeze(2) + bias[y][:, None] - bias[None]
    spread = budget * rows.abs().sum(dim=2)
    return middle - spread, middle + spread


def by_formula(weight, bias, x, y, levels, budgets, best_case):
    total = 0.0
    for level, budget in enumerate(budgets):
        lowest, highest = exact(weight, bias, x, y, budget)
        for n in range(len(x)):
            entries = []
            for j in range(len(weight)):
                if levels[y[n], j] == level:
                    entries.append(-lowest[n, j])
                else:
                    entries.append(-highest[n, j] if best_case else torch.tensor(0.0))
            total += torch.stack(entries).logsumexp(0) / len(x)
    return float(total)


def at_the_worst_corner(weight, bias, x, y, levels, budgets, best_case):
    """Each level's loss at the corner of each ball where it is highest: all margins there at once."""
    total = 0.0
    for level, budget in enumerate(budgets):
        _, highest = exact(weight, bias, x, y, budget)
        others = -highest if best_case else torch.zeros_like(highest)
        losses = []
        for signs in product((-1.0, 1.0), repeat=x.shape[1]):
            logits = (x + budget * torch.tensor(signs)) @ weight.T + bias
            margins = logits.gather(1, y[:, None]) - logits
            losses.append(torch.where(levels[y] == level, -margins, others).logsumexp(dim=1))
        total += float(torch.stack(losses).amax(dim=0).mean())
    return total


@pytest.mark.parametrize("best_case", [False, True])
@pytest.mark.parametrize("budgets", [(0.1, 0.0), (0.1, 0.04, 0.0), (0.1, 0.1, 0.1), (0.1, 0.02)])
def test_each_level_has_its_cross_entropy_at_its_budget(best_case, budgets):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 5)).train()
    weight, bias = network[0].weight.detach(), network[0].bias.detach()
    x, y = torch.rand(10, 6), torch.arange(10) % 5
    levels = parting_levels(TREE, range(5), len(budgets) - 1)
    shares = tuple(budget / 0.1 for budget in budgets)
    ramp = Ramp(0.1, 0.0, 0, 10)
    made = GroupedWorstCase(ramp, EVERYWHERE, 0.0, 0.0, (0.0, 0.0), levels, shares, best_case)
    found = float(made.loss(network, x, y, at(20)).detach())
    expected = by_formula(weight, bias, x, y, levels, budgets, best_case)
    assert found == pytest.approx(expected, rel=1e-5)
    fused = GroupedWorstCase(ramp, EVERYWHERE, 0.0, 0.0, (1.0, 1.0), levels, shares, best_case)
    found = float(fused.loss(network, x, y, at(20)).detach())
    highest = at_the_worst_corner(weight, bias, x, y, levels, budgets, best_case)
    assert highest - 1e-5 <= found < highest + 0.02


def test_with_one_level_it_is_crown_ibp():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5)).train()
    x, y = torch.rand(10, 6), torch.arange(10) % 5
    ramp = Ramp(0.1, 0.5, 0, 10)
    levels = parting_levels(flat_tree("abcde"), range(5), 1)
    for passed in (1.0, 7.0, 10.0):
        flat = CrownWorstCase(ramp, EVERYWHERE, 0.5, 0.0, 0.0).loss(network, x, y, at(passed))
        grouped = GroupedWorstCase(ramp, EVERYWHERE, 0.5, 0.0, (1.0, 0.0), levels, (1.0,), False).loss(
            network, x, y, at(passed)
        )
        torch.testing.assert_close(grouped, flat)


def test_the_weight_of_linear_bounds_moves_with_the_ramp():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5)).train()
    x, y = torch.rand(10, 6), torch.arange(10) % 5
    ramp = Ramp(0.1, 0.0, 0, 10)
    levels = parting_levels(TREE, range(5), 1)

    def loss(betas, passed):
        made = GroupedWorstCase(ramp, EVERYWHERE, 0.0, 0.0, betas, levels, (1.0, 0.0), True)
        return float(made.loss(network, x, y, at(passed)).detach())

    for passed in (4.0, 7.0, 10.0):
        beta = 0.8 - 0.6 * ramp.progress(passed)
        boxes, lines = loss((0.0, 0.0), passed), loss((1.0, 1.0), passed)
        assert abs(boxes - lines) > 1e-4
        assert loss((0.8, 0.2), passed) == pytest.approx((1 - beta) * boxes + beta * lines, rel=1e-5)


def test_interval_bounds_alone_pull_nothing_back(monkeypatch):
    def refuse(*_):
        raise AssertionError("linear bounds were computed")

    monkeypatch.setattr("hiercls_plugins.igrp.objective.Crown", refuse)
    x, y, parts = torch.rand(5, 6), torch.arange(5), tuple(node(label) for label in range(5))
    task, ramp = Task(x, y, x[:0], y[:0], parts, EVERYWHERE, tree=TREE), Ramp(0.1, 0.0, 0, 10)
    network = nn.Sequential(nn.Linear(6, 5)).train()
    for trainer in (Igrp(eps=0.1, beta=0.0, start_beta=0.0), IgrpUbs(eps=0.1, beta=0.0, start_beta=0.0)):
        trainer.objective(ramp, task).loss(network, x, y, at(3.0))
    with pytest.raises(AssertionError, match="were computed"):
        Igrp(eps=0.1).objective(ramp, task).loss(network, x, y, at(3.0))


def test_a_level_may_not_ask_for_more_than_its_parents():
    with pytest.raises(ValidationError, match=r"the budget 0.2 of level 1 must lie between 0 and its parents' 0.1"):
        Igrp(eps=0.1, inner=(0.2,))
    with pytest.raises(ValidationError, match="level 2"):
        Igrp(eps=0.3, inner=(0.1, 0.2))


def test_it_trains_flat_networks_alone():
    task = Task(torch.zeros(2, 3), torch.zeros(2), torch.zeros(0, 3), torch.zeros(0), (node(0, 1), node(2)), Domain())
    for given in (task, replace(task, tree=TREE)):
        with pytest.raises(ConfigurationError, match="igrp: trains a flat network"):
            Igrp(eps=0.1).fit(nn.Sequential(nn.Linear(3, 2)), given, Context())
