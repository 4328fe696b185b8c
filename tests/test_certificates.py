"""Certificates of one node: what cannot exist, and what they are under views, masks and other norms."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hiercls.values.certificates import (
    NodeCertificates,
    Scope,
    closed,
    common_scope,
    others,
    out_of_reach,
    uncertified,
    with_allowed,
)
from hiercls.values.heads import ABSTAIN, UNREACHED
from hiercls.words.errors import NormMismatch
from hiercls.words.norms import L1, L2, LINF
from hiercls.words.threats import Domain

SCOPE = Scope(L2, "image", Domain())
CHILDREN = (frozenset((0,)), frozenset((1, 2)), frozenset((3,)))
radius = st.floats(0, 1e6) | st.sampled_from([0.0, 5e-324, 1e-310, 2.2250738585072014e-308, math.inf])


def f64(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def made(chosen, own, radii, alpha: float = 0.0, scope: Scope = SCOPE) -> NodeCertificates:
    return NodeCertificates(CHILDREN, torch.tensor(chosen), f64(own), f64(radii), alpha, scope)


class TestWhatCannotExist:
    def test_a_right_one_is_accepted(self):
        rows = made(
            [0, ABSTAIN, UNREACHED, 2],
            [0.5, 0, 0, math.inf],
            [[0, 0.5, 1], [0, math.inf, 0], [0] * 3, [math.inf, math.inf, 0]],
        )
        assert rows.alpha == 0

    @pytest.mark.parametrize(
        ("chosen", "own", "radii", "message"),
        [
            ([0], [0.5, 0.5], [[0, 1, 1]], r"own is \(N,\), radii \(N, children\)"),
            ([0], [0.5], [[0, 1]], r"own is \(N,\), radii \(N, children\)"),
            ([0], [-0.5], [[0, 1, 1]], "never negative and never NaN"),
            ([0], [0.5], [[0, 1, -1e-300]], "never negative and never NaN"),
            ([0], [math.nan], [[0, 1, 1]], "never negative and never NaN"),
            ([0], [0.5], [[0, 1, math.nan]], "never negative and never NaN"),
            ([1], [0.5], [[1, 1e-300, 1]], "the radius of the chosen child is 0"),
            ([1], [0.5], [[1, math.inf, 1]], "the radius of the chosen child is 0"),
            ([ABSTAIN], [0.5], [[0, 0, 0]], "did not decide has no radius of its own"),
            ([UNREACHED], [0.5], [[0, 0, 0]], "did not decide has no radius of its own"),
            ([ABSTAIN], [0], [[0, 0.5, 0]], "did not decide proves nothing"),
            ([UNREACHED], [0], [[0, 0.5, 0]], "did not decide proves nothing"),
        ],
    )
    def test_a_wrong_one_is_refused(self, chosen, own, radii, message: str):
        with pytest.raises(ValueError, match=message):
            made(chosen, own, radii)

    def test_single_precision_is_refused(self):
        with pytest.raises(ValueError, match="radii are float64"):
            NodeCertificates(CHILDREN, torch.tensor([0]), torch.zeros(1), f64([[0, 1, 1]]), 0.0, SCOPE)


class TestClosed:
    @settings(max_examples=200, deadline=None)
    @given(radius)
    def test_it_is_the_next_float_below_and_keeps_zero_and_infinity(self, value: float):
        expected = value if value == 0 or math.isinf(value) else math.nextafter(value, 0.0)
        assert float(closed(f64([value]))) == expected


class TestOthers:
    def test_the_smallest_radius_of_the_children_that_were_not_chosen(self):
        radii = f64([[0, 0.5, 0.25], [0.75, 0, math.inf], [0.5, 0.5, 0.5], [0.1, 0.2, 0.3]])
        assert others(radii, torch.tensor([0, 1, ABSTAIN, UNREACHED])).tolist() == [0.25, 0.75, 0, 0]
        assert radii[0, 0] == 0  # what was given stays

    def test_a_minimum_over_nothing_is_infinite(self):
        assert others(f64([[0.0]]), torch.tensor([0])).tolist() == [math.inf]


class TestNorms:
    @settings(max_examples=200, deadline=None)
    @given(radius, st.integers(1, 200_000))
    def test_l2_becomes_linf_rounded_down_from_the_exact_quotient(self, value: float, entries: int):
        rows = made([0], [value], [[0, value, value]]).in_norm(LINF, entries)
        found = float(rows.own)
        if value == 0 or math.isinf(value):
            assert found == value
        else:  # found <= value / sqrt(entries), decided without a root
            assert Fraction(found) ** 2 * entries <= Fraction(value) ** 2
            assert found >= value / math.sqrt(entries) * (1 - 1e-14) - 1e-323
        assert rows.radii.tolist() == [[0, found, found]]

    def test_a_ball_of_smaller_p_keeps_the_radius_and_remembers_its_proof(self):
        rows = made([0], [0.3], [[0, 0.3, 0.4]], scope=Scope(LINF, "image", Domain()))
        for norm in (L2, L1):
            converted = rows.in_norm(norm, 100)
            assert converted.own.tolist() == [0.3]
            assert converted.radii.tolist() == [[0, 0.3, 0.4]]
            assert converted.scope == Scope(norm, "image", Domain(), LINF)
        assert rows.in_norm(LINF, 100) is rows

    def test_two_conversions_remember_the_first_norm(self):
        rows = made([0], [1.0], [[0, 1, 1]]).in_norm(LINF, 4).in_norm(L1, 4)
        assert rows.scope.proved_in == L2
        assert float(rows.own) == pytest.approx(0.5)
        assert float(rows.own) < 0.5

    def test_a_path_of_mixed_norms_names_no_single_proof(self):
        one = made([0], [1.0], [[0, 1, 1]]).in_norm(LINF, 4)
        two = made([0], [1.0], [[0, 1, 1]], scope=Scope(LINF, "image", Domain()))
        assert common_scope({frozenset((0,)): one, frozenset((1,)): two}).proved_in is None
        assert common_scope({frozenset((0,)): one, frozenset((1,)): one}).proved_in == L2

    def test_other_norms_are_refused_with_what_was_found(self):
        one, two = made([0], [1.0], [[0, 1, 1]]), made([0], [1.0], [[0, 1, 1]], scope=Scope(L1, "image", Domain()))
        with pytest.raises(NormMismatch, match="the nodes speak of l1 on image, l2 on image; convert them"):
            common_scope({frozenset((0,)): one, frozenset((1,)): two})


class TestReach:
    def test_a_confirmed_decision_out_of_reach_cannot_be_moved(self):
        chosen = torch.tensor([1, 0, ABSTAIN, UNREACHED])
        rows = out_of_reach(CHILDREN, chosen, torch.tensor([True, False, True, True]), 0.001, SCOPE)
        inf = math.inf
        assert rows.radii.tolist() == [[inf, 0, inf], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
        assert rows.own.tolist() == [inf, 0, 0, 0]
        assert rows.alpha == 0.001

    def test_uncertified_rows_claim_nothing(self):
        rows = uncertified(CHILDREN, torch.tensor([1, ABSTAIN]), SCOPE)
        assert not bool(rows.radii.any() or rows.own.any())
        assert rows.alpha == 0


class TestAllowed:
    def test_children_without_an_allowed_label_are_never_chosen(self):
        rows = made([0, 1, ABSTAIN, UNREACHED], [0.25, 0.5, 0, 0], [[0, 0.25, 0.5], [0.5, 0, 0.75], [0] * 3, [0] * 3])
        allowed = torch.tensor([[True, True, False], [True, True, True], [True, False, True], [False] * 3])
        inf = math.inf
        found = with_allowed(rows, allowed, in_reach=False)
        assert found.radii.tolist() == [[0, 0.25, inf], [0.5, 0, 0.75], [0, inf, 0], [inf, inf, inf]]
        assert found.own.tolist() == [0.25, 0.5, 0, 0]

    def test_where_one_child_is_left_the_decision_cannot_move(self):
        rows = made([0, ABSTAIN], [0.25, 0], [[0, 0.25, 0.5], [0] * 3])
        allowed = torch.tensor([[True, False, False], [False, True, False]])
        found = with_allowed(rows, allowed, in_reach=False)
        assert found.own.tolist() == [math.inf, 0]

    def test_a_mask_in_reach_ends_every_claim_also_those_out_of_reach(self):
        trusted = out_of_reach(CHILDREN, torch.tensor([1]), torch.tensor([True]), 0.0, SCOPE)
        allowed = torch.tensor([[True, True, False]])
        for rows in (trusted, made([1], [0.5], [[0.5, 0, 0.5]])):
            found = with_allowed(rows, allowed, in_reach=True)
            assert not bool(found.radii.any() or found.own.any())
            assert found.chosen.tolist() == [1]

    def test_without_a_mask_nothing_changes(self):
        rows = made([1], [0.5], [[0.5, 0, 0.5]])
        assert with_allowed(rows, None, in_reach=True) is rows

    def test_a_decision_for_a_forbidden_child_is_a_fault(self):
        with pytest.raises(ValueError, match="the chosen child is 0"):
            with_allowed(made([1], [0.5], [[0.5, 0, 0.5]]), torch.tensor([[True, False, True]]), in_reach=False)
