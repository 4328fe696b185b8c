"""Numbers of the report are rounded towards caution, and alike in one column."""

import math

import pytest
from reporting_toys import exposed, findings

from hiercls.verbs.reporting import confusions, rounding, tables
from hiercls.verbs.reporting.rounding import Share


def test_claims_are_rounded_down_and_concessions_up():
    assert (Share(2, 3).down(), Share(2, 3).nearest(), Share(1, 3).up()) == ("66.6%", "66.7%", "33.4%")
    assert (Share(13_333, 20_000).down(), Share(1, 20_000).down(), Share(1, 20_000).up()) == (
        "66.66%",
        "0.00%",
        "0.01%",
    )
    assert (Share(3, 3).down(), Share(0, 3).up(), Share(0, 0).down()) == ("100.0%", "0.0%", "–")
    assert rounding.rounded_down(0.29999) == "0.2999"
    assert rounding.rounded_down(0.3) == "0.3000"
    assert rounding.rounded_down(math.nextafter(0.1, 0)) == "0.0999"
    assert rounding.rounded_down(0.00012399) == "1.2e-4"
    assert (rounding.rounded_down(math.inf), rounding.rounded_down(0.0), rounding.rounded_down(None)) == (
        "∞",
        "0.0000",
        "–",
    )
    assert (rounding.rounded_up(5.201), rounding.rounded_up(5.2)) == ("5.21", "5.20")
    assert (rounding.alpha_text(0.001 / 3), rounding.alpha_text(0.1 + 0.2)) == ("0.000334", "0.3")
    assert (rounding.budget_text(8 / 255), rounding.budget_text(0.2)) == ("8/255", "0.2")


@pytest.mark.parametrize(("count", "total"), [(0, 7), (7, 7), (431, 500), (8602, 10_000)])
def test_intervals_are_clopper_pearson(count, total):
    from statsmodels.stats.proportion import proportion_confint

    assert Share(count, total).interval() == pytest.approx(proportion_confint(count, total, 0.05, "beta"))


def test_shares_of_one_column_have_one_number_of_decimals():
    found = exposed([[0, 0.1, 9], [0.1, 0, 9], [9, 0.1, 0]], (4, 1500, 4))
    for table, where in (
        (confusions.remaining_table(found), (5, 6)),
        (tables.labels_table(found), (2, 3)),
    ):
        for column in where:
            shown = [row[column].shown for row in table.rows]
            assert len(shown) == 3
            assert all(len(text.split(".")[1]) == len("00%") for text in shown)
    places = {row[4].shown.split(".")[1] for row in confusions.parting_table(findings(count=400)).rows}
    assert {len(decimals) for decimals in places} == {len("00%")}
