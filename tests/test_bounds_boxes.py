"""Boxes: they hold the closed ball whatever is rounded, and end where the domain ends."""

from fractions import Fraction
from itertools import product

import pytest
import torch
from bounds_toys import UNIT

from hiercls.words.errors import OutsideDomain
from hiercls.words.threats import EVERYWHERE, Domain
from hiercls_plugins.bounds.boxes import around, enclosing


@pytest.mark.parametrize("domain", [EVERYWHERE, Domain("box", 0.1, 0.9)])
def test_a_box_holds_the_closed_ball_whatever_float64_rounds(domain):
    x = 0.15 + 0.7 * torch.rand(60, 7, generator=torch.Generator().manual_seed(0))
    budget = torch.full((60,), 0.1, dtype=torch.float64)
    box = enclosing(x, budget, domain)
    for n, k in product(range(60), range(7)):
        point, middle, radius = (Fraction(v[n, k].item()) for v in (x, box.centre, box.radius))
        lower, upper = point - Fraction(0.1), point + Fraction(0.1)
        if domain.bounded:
            lower, upper = max(lower, Fraction(0.1)), min(upper, Fraction(0.9))
        assert middle - radius <= lower
        assert middle + radius >= upper


def test_a_float32_budget_is_refused_because_it_may_be_smaller_than_what_was_asked():
    assert Fraction(torch.tensor(0.01, dtype=torch.float32).item()) < Fraction(1, 100)
    with pytest.raises(ValueError, match="float64"):
        enclosing(torch.rand(1, 3), torch.tensor([0.01]), UNIT)


def test_boxes_end_where_the_domain_ends():
    x = torch.tensor([[0.0, 0.95, 0.5]])
    box = enclosing(x, torch.tensor([0.1], dtype=torch.float64), UNIT)
    assert box.lower.tolist()[0] == pytest.approx([0.0, 0.85, 0.4])
    assert box.upper.tolist()[0] == pytest.approx([0.1, 1.0, 0.6])
    trained = around(x, 0.1, UNIT)
    assert trained.lower.tolist()[0] == pytest.approx([0.0, 0.85, 0.4], abs=1e-6)
    assert trained.upper.tolist()[0] == pytest.approx([0.1, 1.0, 0.6])
    assert enclosing(x, torch.tensor([0.1], dtype=torch.float64), EVERYWHERE).lower[0, 0].item() < -0.0999


def test_an_input_outside_the_domain_is_an_error():
    for wrong in (1.5, torch.nan):
        with pytest.raises(OutsideDomain):
            enclosing(torch.full((1, 3), wrong), torch.tensor([0.1], dtype=torch.float64), UNIT)
