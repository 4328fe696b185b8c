"""The search for the largest budget that holds, on thresholds that are known."""

from itertools import product

import torch

from hiercls_plugins.bounds.search import Search, largest_budgets


def thresholds(exact):
    def holds(budgets):
        holds.seen.append(budgets)
        return budgets[:, None] <= exact

    holds.seen = []
    return holds


def test_the_search_reports_the_largest_tested_budget_that_holds():
    exact = torch.rand(50, 4, generator=torch.Generator().manual_seed(0)).double() ** 4
    holds = thresholds(exact)
    found = largest_budgets(holds, 50, Search(1e-4, 1.0, 0.002))
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
    found = largest_budgets(thresholds(exact), 3, Search(1e-4, 1.0, 0.5, asked=(0.1, 0.2)))
    assert bool((found == 0.1).all())


def test_the_search_ends_at_its_largest_budget():
    found = largest_budgets(thresholds(torch.full((1, 1), 9.0)), 1, Search(1e-4, 0.3, 0.01))
    assert found.item() == 0.3


def test_a_row_of_the_search_does_not_depend_on_its_neighbours():
    exact = torch.rand(20, 3, generator=torch.Generator().manual_seed(0)).double()
    search = Search(1e-3, 1.0, 0.003, (0.1,))
    together = largest_budgets(thresholds(exact), 20, search)
    for n in range(20):
        assert torch.equal(largest_budgets(thresholds(exact[n : n + 1]), 1, search)[0], together[n])


def test_the_search_never_reports_a_budget_that_failed():
    """An answer that is not monotone: yes only on some budgets."""

    def holds(budgets):
        return ((budgets * 37).floor() % 2 == 0)[:, None]

    found = largest_budgets(holds, 1, Search(1e-3, 1.0, 0.001))
    assert bool(holds(found[0]).all())
