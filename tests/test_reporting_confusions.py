"""Which labels can be taken for which: the pairs, groups and maps of the report, counted from the raw radii."""

import math

import pytest
from reporting_toys import BUDGETS, LABELS, exposed, findings, label_radius, possible, values

from hiercls.verbs.reporting import confusions, heatmaps, rounding
from hiercls.verbs.reporting.findings import Findings
from hiercls.verbs.reporting.page import write_report


def test_every_pair_is_counted_as_the_raw_radii_say():
    found = findings()
    rows = {(row[0], row[1], row[2]): row[3:] for row in values(confusions.pairs_table(found))}
    for budget in (0.0, *BUDGETS):
        for system in found.systems:
            for truth, name in enumerate(LABELS):
                here = [i for i in range(60) if system.truth[i] == truth]
                counts = [sum(label in reachable(system, i, budget) for i in here) for label in range(5)]
                assert rows[budget, system.name, name] == [len(here), *counts]


def reachable(system, i, budget):
    """The labels that can be answered; without an adversary those that are."""
    return possible(system, i, budget) if budget else set(system.certificates.members()[i].nonzero().flatten().tolist())


def test_every_pair_of_groups_is_counted_in_the_groups_of_the_tree_for_flat_classifiers_too():
    found = findings()
    rows = {(row[0], row[1], row[2]): row[3:] for row in values(confusions.groups_table(found))}
    groups = {"pets": {0, 1}, "[ship, truck, <b>&amp;]": {2, 3, 4}}
    assert len(rows) == 3 * 2 * 2
    for budget in (0.0, *BUDGETS):
        for system in found.systems:
            for name, group in groups.items():
                reached = [reachable(system, i, budget) for i in range(60) if int(system.truth[i]) in group]
                counts = [sum(bool(labels & other) for labels in reached) for other in groups.values()]
                strays = sum(bool(labels - group) for labels in reached)
                assert rows[budget, system.name, name] == [len(reached), *counts, strays]


def test_groups_are_counted_only_where_a_tree_has_some(tmp_path):
    write_report(findings(), tmp_path / "tree")
    assert (tmp_path / "tree" / "tables" / "groups.csv").exists()
    flat = findings()
    flat = Findings("flat", "", "", {}, flat.threat, (flat.systems[1],))
    write_report(flat, tmp_path / "flat")
    assert not (tmp_path / "flat" / "tables" / "groups.csv").exists()


def test_confusions_are_filed_under_the_node_where_paths_part():
    found = findings(budgets=(0.125,))
    tree = found.systems[0]
    rows = {row[1]: (row[3], row[4]) for row in values(confusions.parting_table(found))}
    assert list(rows) == ["anywhere", "root", "pets", "[ship, truck, <b>&amp;]", "vehicles"]
    inside = [(i, label) for i in range(60) for label in ({0, 1} - {int(tree.truth[i])}) if tree.truth[i] < 2]
    share = sum(label in possible(tree, i, 0.125) for i, label in inside) / len(inside)
    assert rows["pets"] == (len(inside), pytest.approx(share))
    assert rows["anywhere"][0] == 60 * 4 == sum(count for name, (count, _) in rows.items() if name != "anywhere")


def test_a_label_without_inputs_proves_nothing_about_its_pairs():
    found = findings(count=6, budgets=(0.5,))
    tree = found.systems[0]
    cases = {truth: [i for i in range(6) if tree.truth[i] == truth] for truth in range(5)}
    hits = [
        (sum(label in possible(tree, i, 0.5) for i in here), len(here))
        for truth, here in cases.items()
        for label in range(5)
        if here and label != truth
    ]
    never, always = sum(hit == 0 for hit, _ in hits), sum(hit == of for hit, of in hits)
    assert 0 < never < always < len(hits) < 20
    said = f"{never} of {len(hits)} ordered pairs of different labels are excluded for every input, and {always} remain"
    assert said in confusions.excluded_pairs(found, 0.5)


def test_the_most_frequent_confusions_come_first():
    shares = [row[5] for row in values(confusions.remaining_table(findings(budgets=(0.5,))))]
    assert shares == sorted(shares, reverse=True)
    assert len(shares) == confusions.LISTED
    assert shares[0] > shares[-1]


def test_maps_carry_the_counts_and_the_lower_median_radius():
    found = findings(budgets=(0.5,))
    medians = []
    for system in found.systems:
        possible_map, radius_map = heatmaps.possible_map(found, system, 0.5).svg, heatmaps.radius_map(found, system).svg
        cats = [i for i in range(60) if system.truth[i] == 0]
        for label, name in ((1, "dog"), (2, "ship"), (3, "truck")):
            exposed = sum(label in possible(system, i, 0.5) for i in cats)
            assert f"cat → {name}: {exposed} of {len(cats)} (" in possible_map
            medians.append(sorted(label_radius(system, i, label) for i in cats)[(len(cats) - 1) // 2])
            hint = f"cat → {name}: not within {rounding.rounded_down(medians[-1])}<"
            assert (hint in radius_map) == (medians[-1] > 0)
    assert any(0 < median < math.inf for median in medians)


def test_tied_confusions_are_counted_not_picked():
    tied = exposed([[0, 0.1, 9], [9, 0, 0.1], [9, 9, 0]], (4, 8, 4))
    assert confusions.parting_table(tied).rows[0][-1].shown == "2 pairs at 100.0%"
    single = exposed([[0, 0.1, 9], [9, 0, 9], [9, 9, 0]], (4, 8, 4))
    assert confusions.parting_table(single).rows[0][-1].shown == "cat → dog, 100.0%"
    none = exposed([[0, 9, 9], [9, 0, 9], [9, 9, 0]], (4, 8, 4))
    assert confusions.parting_table(none).rows[0][-1].shown == "none"
