"""Norms, the factors between them, domains and threats."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hiercls.words.errors import ConfigurationError
from hiercls.words.norms import L1, L2, LINF, Norm, radius_factor
from hiercls.words.threats import EVERYWHERE, Domain, Threat

norms = st.sampled_from([LINF, L2, L1, Norm(3.0), Norm(1.5)]) | st.floats(1.05, 50).map(Norm)


def exact_factor(held: Norm, asked: Norm, entries: int) -> mpmath.mpf:
    """entries^(1/q - 1/p) with 60 digits, for q > p."""
    with mpmath.workdps(60):
        inverse = mpmath.mpf(0) if math.isinf(asked.p) else 1 / mpmath.mpf(asked.p)
        return mpmath.power(entries, inverse - 1 / mpmath.mpf(held.p))


class TestNorm:
    @pytest.mark.parametrize(
        ("text", "p"), [("linf", math.inf), ("l2", 2), ("L1", 1), ("l_inf", math.inf), ("l1.5", 1.5), ("l_2", 2)]
    )
    def test_what_people_write_is_read(self, text: str, p: float):
        assert Norm.parse(text) == Norm(p)
        assert Norm.parse(str(Norm.parse(text))) == Norm(p)

    @pytest.mark.parametrize("text", ["", "l", "euclidean", "lx", "l2,3"])
    def test_what_is_no_norm_is_told(self, text: str):
        with pytest.raises(ConfigurationError, match="is unknown; write linf, l2, l1 or l<p>"):
            Norm.parse(text)

    @pytest.mark.parametrize("text", ["l0", "l0.5", "l-1", "lnan", "l-inf"])
    def test_p_below_one_is_refused(self, text: str):
        with pytest.raises(ConfigurationError, match="p must be at least 1"):
            Norm.parse(text)

    @given(norms)
    def test_the_dual_is_the_largest_gain_of_a_linear_function(self, norm: Norm):
        slope = np.array([0.7, -2.0, 1.1])
        unit = np.random.default_rng(0).normal(size=(2000, 3))
        unit /= np.linalg.norm(unit, norm.p, axis=1, keepdims=True)
        bound = np.linalg.norm(slope, norm.dual.p)
        assert (unit @ slope).max() <= bound * (1 + 1e-12)
        inverse = sum(0.0 if math.isinf(n.p) else 1 / n.p for n in (norm, norm.dual))
        assert inverse == pytest.approx(1.0)


class TestFactor:
    @settings(max_examples=400, deadline=None)
    @given(norms, norms, st.integers(1, 10**9))
    def test_it_is_below_the_exact_factor_and_close_to_it(self, held: Norm, asked: Norm, entries: int):
        factor = radius_factor(held, asked, entries)
        if asked.p <= held.p:
            assert factor == 1.0
        else:
            exact = exact_factor(held, asked, entries)
            assert mpmath.mpf(factor) < exact
            assert mpmath.mpf(factor) > exact * (1 - mpmath.mpf("2e-14"))

    @pytest.mark.parametrize(("held", "asked"), [(1.06, 5.0), (1.64, 13.0), (1.29, 5.0)])
    def test_the_rounding_of_the_exponent_never_raises_it(self, held: float, asked: float):
        """On ImageNet's 150,528 entries an exponent's last bit weighs as much as the factor's."""
        factor = radius_factor(Norm(held), Norm(asked), 150_528)
        assert mpmath.mpf(factor) < exact_factor(Norm(held), Norm(asked), 150_528)

    def test_known_factors(self):
        assert radius_factor(L2, LINF, 3072) == pytest.approx(1 / math.sqrt(3072), rel=1e-13)
        assert radius_factor(L1, LINF, 784) == pytest.approx(1 / 784, rel=1e-13)
        assert radius_factor(L1, L2, 784) == pytest.approx(1 / 28, rel=1e-13)
        assert radius_factor(LINF, L2, 784) == 1.0

    @pytest.mark.parametrize("held", [LINF, L2, L1, Norm(3.0)], ids=str)
    @pytest.mark.parametrize("asked", [LINF, L2, L1, Norm(3.0)], ids=str)
    def test_the_converted_ball_lies_inside_and_touches(self, held: Norm, asked: Norm):
        """Corners and axes are the extreme points; random ones fill between."""
        entries = 6
        generator = np.random.default_rng(1)
        points = np.vstack([np.eye(entries), np.ones((1, entries)), generator.normal(size=(2000, entries))])
        points /= np.linalg.norm(points, asked.p, axis=1, keepdims=True)
        lengths = np.linalg.norm(points * radius_factor(held, asked, entries), held.p, axis=1)
        assert lengths.max() <= 1 + 1e-12
        assert lengths.max() == pytest.approx(1.0, rel=1e-9)


class TestDomain:
    UNIT = Domain("box", 0, 1)
    GRID = Domain("grid", 0, 1, 255)

    def test_a_claim_on_a_larger_domain_serves_a_smaller_one(self):
        assert EVERYWHERE.holds(self.UNIT)
        assert EVERYWHERE.holds(self.GRID)
        assert self.UNIT.holds(self.GRID)
        assert self.UNIT.holds(Domain("box", 0.25, 1))
        assert not self.UNIT.holds(EVERYWHERE)
        assert not self.UNIT.holds(Domain("box", 0, 1.5))
        assert not self.GRID.holds(self.UNIT)
        assert not self.GRID.holds(Domain("grid", 0, 1, 16))
        assert not self.UNIT.holds(Domain("grid", -1, 1, 255))

    @given(st.data())
    def test_the_intersection_holds_exactly_the_common_points(self, data: st.DataObject):
        ends = st.floats(-2, 2).map(lambda x: round(x, 2))
        boxes = [sorted(data.draw(st.sets(ends, min_size=2, max_size=2))) for _ in range(2)]
        one, two = (Domain("box", low, high) for low, high in boxes)
        low, high = max(boxes[0][0], boxes[1][0]), min(boxes[0][1], boxes[1][1])
        if low < high:
            assert (one.intersect(two).lower, one.intersect(two).upper) == (low, high)
        else:
            with pytest.raises(ConfigurationError, match="is empty"):
                one.intersect(two)

    def test_a_grid_meets_only_boxes_around_it_and_itself(self):
        assert self.GRID.intersect(self.UNIT) == self.GRID
        assert self.UNIT.intersect(self.GRID) == self.GRID
        assert self.GRID.intersect(EVERYWHERE) == self.GRID
        assert self.GRID.intersect(self.GRID) == self.GRID
        for other in (Domain("box", 0.1, 0.9), Domain("grid", 0, 1, 16), Domain("box", 0.5, 2)):
            for one, two in ((self.GRID, other), (other, self.GRID)):
                with pytest.raises(ConfigurationError, match="have no common domain"):
                    one.intersect(two)

    def test_what_is_no_domain_is_refused(self):
        with pytest.raises(ConfigurationError, match=r"the box \[1, 1\] is empty"):
            Domain("box", 1, 1)
        with pytest.raises(ConfigurationError, match="is empty"):
            Domain("box", math.nan, 1)
        with pytest.raises(ConfigurationError, match="a grid needs at least 1 step, found 0"):
            Domain("grid", 0, 1, 0)

    def test_it_is_written_in_words(self):
        assert [str(domain) for domain in (EVERYWHERE, self.UNIT, self.GRID)] == [
            "all",
            "[0, 1]",
            "[0, 1] in steps of 1/255",
        ]


class TestThreat:
    @pytest.mark.parametrize("budget", [0.0, -1.0, math.inf, math.nan])
    def test_a_budget_is_positive_and_finite(self, budget: float):
        with pytest.raises(ConfigurationError, match="is not a positive finite number"):
            Threat(budgets=(0.1, budget))

    def test_it_reaches_one_view(self):
        threat = Threat(view="lidar")
        assert threat.reaches("lidar")
        assert not threat.reaches("image")
        assert not threat.reaches(None)
