"""What a smoothed network answers where draws are not finite, not clear or not allowed."""

import numpy as np
import pytest
import torch
from scipy.stats import norm
from smoothing_toys import BINARY, THREE, at, boundary, deployed, parts, proved, three_regions

from hiercls.contracts.provers import Claim
from hiercls.values.draws import Purpose
from hiercls.values.heads import ABSTAIN, restricted


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
