"""The search for the largest budget that holds, on thresholds that are known."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F

from hiercls_plugins.bounds.places import Places
from hiercls_plugins.bounds.search import Search, largest_budgets, largest_positive

SEARCH = Search(1e-4, 1.0, 0.002, (0.05, 0.1))


def thresholds(exact):
    def holds(rows, budgets):
        holds.seen.append(budgets)
        return budgets[:, None] <= exact[rows]

    holds.seen = []
    return holds


def test_the_search_reports_the_largest_tested_budget_that_holds():
    exact = torch.rand(50, 4, generator=torch.Generator().manual_seed(0)).double() ** 4
    holds = thresholds(exact)
    found = largest_budgets(holds, Places.own(50), 4, Search(1e-4, 1.0, 0.002))
    assert bool((found <= exact).all())
    above = exact >= 1e-4
    assert bool((found[above] >= exact[above] * 0.998).all())
    assert not bool(found[~above].any())
    tested = torch.stack(holds.seen, dim=1)
    for n, k in product(range(50), range(4)):
        assert found[n, k] == 0 or bool((tested[n] == found[n, k]).any())
    assert len(holds.seen) < 4 * 14


def test_an_asked_budget_is_tested_itself():
    exact = torch.full((3, 2), 0.1, dtype=torch.float64)
    found = largest_budgets(thresholds(exact), Places.own(3), 2, Search(1e-4, 1.0, 0.5, asked=(0.1, 0.2)))
    assert bool((found == 0.1).all())


def test_the_search_ends_at_its_largest_budget():
    found = largest_budgets(thresholds(torch.full((1, 1), 9.0)), Places.own(1), 1, Search(1e-4, 0.3, 0.01))
    assert found.item() == 0.3


def test_a_row_of_the_search_does_not_depend_on_its_neighbours():
    exact = torch.rand(20, 3, generator=torch.Generator().manual_seed(0)).double()
    search = Search(1e-3, 1.0, 0.003, (0.1,))
    together = largest_budgets(thresholds(exact), Places.own(20), 3, search)
    for n in range(20):
        assert torch.equal(largest_budgets(thresholds(exact[n : n + 1]), Places.own(1), 3, search)[0], together[n])


def test_the_search_never_reports_a_budget_that_failed():
    """An answer that is not monotone: yes only on some budgets."""

    def holds(rows, budgets):
        return ((budgets * 37).floor() % 2 == 0)[:, None]

    found = largest_budgets(holds, Places.own(1), 1, Search(1e-3, 1.0, 0.001))
    assert bool(holds(None, found[0]).all())


class Margins:
    """Known margins that remember the budgets they were asked for."""

    def __init__(self, margin):
        self.margin = margin
        self.seen = []

    def __call__(self, rows, budgets):
        self.seen.append(budgets)
        return self.margin(budgets[:, None])

    def holds(self, rows, budgets):
        return self.margin(budgets[:, None]) > 0


turns = torch.rand(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) ** 5 * 1.2


def bending(e):
    """As interval bounds grow: faster where more neurons may have either sign."""
    return e + 2 * F.relu(e - 0.03) + 3 * F.relu(e - 0.15)


CURVES = {
    "bending": lambda e: bending(turns) - bending(e),
    "straight": lambda e: turns - e,
    "convex": lambda e: 1 / (e + 0.03) - 1 / (turns + 0.03),
    "bent": lambda e: torch.where(e < turns, (turns - e).sqrt(), -50 * (e - turns)),
    "steep": lambda e: torch.expm1(-40 * (e - turns)),
    "flat": lambda e: (turns - e) ** 9,
    "a step": lambda e: torch.where(e < turns, 1e-9, -1e9),
    "signs": lambda e: torch.where(e < turns, torch.inf, -torch.inf),
    "not a number": lambda e: torch.where(e < turns, turns - e, torch.nan),
}


@pytest.mark.parametrize("name", CURVES)
def test_a_search_by_margins_finds_what_bisection_finds(name):
    margins = Margins(CURVES[name])
    found = largest_positive(margins, Places.own(40), 3, SEARCH)
    bisected = largest_budgets(margins.holds, Places.own(40), 3, SEARCH)
    tested = torch.stack(margins.seen, dim=1)[:, None, :]
    positive = torch.stack([margins.margin(budgets[:, None]) > 0 for budgets in margins.seen], dim=2)
    assert torch.equal(found, torch.where(positive, tested, 0.0).amax(dim=2)), "the largest tested one that held"
    wide = torch.exp(torch.tensor(SEARCH.precision, dtype=torch.float64))
    assert bool(((found <= bisected * wide) & (bisected <= found * wide)).all())
    inside = (turns > SEARCH.smallest) & (turns < SEARCH.largest)
    assert bool((found[inside] * wide >= turns[inside]).all())
    assert not bool(found[turns <= SEARCH.smallest].any())
    assert bool((found[turns > SEARCH.largest] == SEARCH.largest).all())


@pytest.mark.parametrize("name", ["straight", "bending"])
def test_margins_spare_a_third_of_the_tests(name):
    one_question = Margins(lambda e: CURVES[name](e)[:, :1])
    answers = Margins(lambda e: one_question.margin(e) > 0)
    largest_positive(one_question, Places.own(40), 1, SEARCH)
    largest_budgets(answers, Places.own(40), 1, SEARCH)
    assert len(one_question.seen) <= len(answers.seen) * 2 / 3


@pytest.mark.parametrize("name", CURVES)
def test_a_row_of_a_search_by_margins_does_not_depend_on_its_neighbours(name):
    together = largest_positive(Margins(CURVES[name]), Places.own(40), 3, SEARCH)
    for n in range(0, 40, 7):
        alone = largest_positive(Margins(lambda e, n=n: CURVES[name](e)[n : n + 1]), Places.own(1), 3, SEARCH)
        assert torch.equal(alone[0], together[n])


def test_an_asked_budget_that_holds_is_claimed_however_coarse_the_search():
    found = largest_positive(Margins(lambda e: 0.10001 - e), Places.own(1), 1, Search(0.08, 0.2, 1.0, (0.09, 0.1)))
    assert found.item() == 0.1


def test_margins_that_rise_again_never_make_a_claim_that_failed():
    margins = Margins(lambda e: torch.cos(60 * e * torch.arange(1.0, 5.0, dtype=torch.float64)) - 0.2)
    found = largest_positive(margins, Places.own(1), 4, SEARCH)
    assert bool((margins.margin(found) > 0).diagonal().all())


def test_a_settled_row_makes_room_for_the_next_one_with_its_place():
    """Rows with any place, in passes of 8: answered as alone, and no pass waits for the slowest row of a tile."""
    places = Places(torch.arange(40) * 3 % 8, 8)
    passes = []

    def margins(rows, budgets):
        passes.append(rows)
        e, turn = budgets[:, None], turns[rows]
        return torch.where(e < turn, (turn - e).sqrt(), -50 * (e - turn))

    together = largest_positive(margins, places, 3, SEARCH)
    assert all(torch.equal(places.of_rows[rows], torch.arange(8)) for rows in passes)
    in_all, tests = len(passes), []
    for n in range(40):
        passes.clear()
        alone = largest_positive(lambda _, budgets, n=n: margins([n], budgets), Places.own(1), 3, SEARCH)
        assert torch.equal(alone[0], together[n])
        tests.append(len(passes))
    in_turn = [sum(tests[n] for n in range(40) if places.of_rows[n] == place) for place in range(8)]
    assert in_all == max(in_turn) < 5 * max(tests)


def test_a_place_without_rows_repeats_another_one():
    places = Places(torch.tensor([3, 3]), 5)
    rows, asked = places.filled(torch.tensor([False, True]))
    assert rows.tolist() == [0, 0, 0, 1, 0]
    assert asked.tolist() == [False, False, False, True, False]
    assert places.filled(torch.tensor([True, True]))[0][3] == 0


def test_no_budget_far_above_the_asked_ones_is_tested_where_radii_end_near_them():
    margins = Margins(lambda e: 0.11 - e)
    assert largest_positive(margins, Places.own(1), 1, Search(1e-4, 1.0, 0.002, (0.05, 0.1))).item() > 0.1097
    assert max(float(budget) for budget in margins.seen) < 0.15
    far = Margins(lambda e: 0.9 - e)
    assert largest_positive(far, Places.own(1), 1, Search(1e-4, 1.0, 0.002, (0.01,))).item() > 0.898
    assert len(far.seen) < 12
