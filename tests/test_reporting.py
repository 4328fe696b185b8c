"""The tables of the report say what the raw radii say, each at the level at which it holds."""

import math

import pytest
import torch
from reporting_toys import BUDGETS, FACT, SCOPE, findings, label_radius, node, possible, uneven_tree, values, walk

from hiercls.values.certificates import NodeCertificates, out_of_reach
from hiercls.values.compose import compose
from hiercls.values.heads import ABSTAIN
from hiercls.verbs.reporting import figures, summaries, tables
from hiercls.verbs.reporting.findings import Findings, System
from hiercls.verbs.reporting.measures import tiers
from hiercls.words.norms import LINF
from hiercls.words.threats import Threat


def group_of(level, label):
    """The groups of the uneven tree, written out."""
    groups = {1: [node(0, 1), node(2, 3, 4)], 2: [node(0), node(1), node(2, 3), node(4)]}[level]
    return next(group for group in groups if label in group)


def stays(system, i, level):
    """Whether the answer is in the right group, and the radius within which it stays there; level 3 is the label."""
    steps, answer = walk(system, i)
    truth = int(system.truth[i])
    if level == 3:
        own = min(radius for _, radius in steps)
        return answer == node(truth), own if len(answer) == 1 else 0.0
    group = group_of(level, truth)
    if not answer <= group:
        return False, 0.0
    if system.name == "tree":
        return True, min((radius for here, radius in steps if system.tree.level(here) < level), default=math.inf)
    return True, min(label_radius(system, i, label) for label in range(5) if label not in group)


def test_the_main_table_is_what_the_raw_radii_say():
    found = findings()
    rows = iter(values(tables.budgets_table(found)))
    for budget in (0.0, *BUDGETS):
        for system in found.systems:
            kept = [[stays(system, i, level) for i in range(60)] for level in (1, 2, 3)]
            if budget:
                shares = [sum(right and 0 < radius >= budget for right, radius in level) / 60 for level in kept]
            else:
                shares = [sum(right for right, _ in level) / 60 for level in kept]
            sets = [possible(system, i, budget) for i in range(60)]
            holds = [int(system.truth[i]) in sets[i] for i in range(60)]
            gain = sum(held * (1 - math.log(len(s)) / math.log(5)) for held, s in zip(holds, sets, strict=True)) / 60
            expected = [budget, system.name, *shares, sum(map(len, sets)) / 60, sum(holds) / 60, gain]
            assert next(rows) == pytest.approx(expected)
    assert next(rows, None) is None


def test_an_abstaining_answer_is_right_above_and_no_label():
    tree = uneven_tree()
    scope, inf = SCOPE, torch.inf
    root = NodeCertificates(tree.children(tree.root), torch.tensor([0]), *_radii([0.5], [[0.0, 0.5]]), 0.0, scope)
    pets = NodeCertificates(
        tree.children(node(0, 1)), torch.tensor([ABSTAIN]), *_radii([0.0], [[0.0, 0.0]]), 0.0, scope
    )
    system = System("tree", compose(tree, {tree.root: root, node(0, 1): pets}), torch.tensor([1]))
    level_1, level_2, label = tiers(system, tree)
    assert (level_1.clean().count, level_1.certified(0.5).count) == (1, 1)
    assert (level_2.clean().count, label.clean().count) == (0, 0)
    assert (level_2.certified(0.1).count, label.certified(0.1).count) == (0, 0)
    assert inf not in level_2.radius.values


def _radii(own, radii):
    return torch.tensor(own, dtype=torch.float64), torch.tensor(radii, dtype=torch.float64)


def test_radius_zero_is_no_certificate_whatever_the_budget():
    found = findings()
    for tier in tiers(found.systems[0], found.tree):
        claims = tier.holds(0.0)
        assert not bool(claims[tier.radius.values == 0].any())


def test_a_root_out_of_reach_is_infinite_in_numbers_and_words():
    tree, count = uneven_tree(), 4
    chosen = torch.tensor([0, 0, 1, 1])
    root = out_of_reach(tree.children(tree.root), chosen, torch.ones(count, dtype=torch.bool), 0.0, SCOPE)
    truth = torch.tensor([0, 2, 2, 3])
    found = Findings(
        "lidar", "", "", {}, Threat(LINF, (9.0,)), (System("tree", compose(tree, {tree.root: root}), truth, (FACT,)),)
    )
    first = tables.radii_table(found).rows[0]
    assert (first[1].shown, first[3].shown, first[4].shown, first[7].shown) == (
        "in its level 1 group",
        "–",
        "∞",
        "100.0%",
    )
    assert tables.budgets_table(found).rows[1][2].value == 0.75
    assert tables.nodes_table(found).rows[0][5].shown == "the adversary cannot touch lidar: infinite"
    assert figures.curves_table(found).rows[-1][1].value == 0.75


def test_every_column_prints_the_level_at_which_it_holds():
    found = findings(alpha=0.001)
    heads = {column.name: column.level for column in tables.budgets_table(found).columns}
    assert heads["right label"] == "path α 0.001"
    assert heads["right group, level 1 (2 groups)"] == "tree: path α 0.001; flat: joint α 0.001"
    assert heads["mean |S(r)|"] == "tree: joint α 0.003; flat: joint α 0.001"
    assert {column.level for column in tables.budgets_table(findings()).columns} == {"", "α 0 (deterministic)"}
    assert (
        tables.budgets_table(found)
        .csv()
        .splitlines()[0]
        .endswith("information gain [tree: joint α 0.003; flat: joint α 0.001]")
    )


def test_all_sampled_proofs_together_lose_the_binomial_quantile():
    def at_most(wrong):
        return sum(math.comb(500, k) * 0.001**k * 0.999 ** (500 - k) for k in range(wrong + 1))

    quantile = next(wrong for wrong in range(500) if at_most(wrong) >= summaries.CONFIDENCE)
    assert summaries.wrong_at_most(500, 0.001) == quantile
    row = summaries.sampled_table(findings(alpha=0.001)).rows[0]
    assert row[6].value == pytest.approx(max(row[4].value - row[5].value / 60, 0))
    assert summaries.sampled_table(findings()).rows == ()


def test_curves_pass_through_the_table_at_every_budget():
    found = findings()
    curve = {row[0].value: [cell.value for cell in row[1:]] for row in figures.curves_table(found).rows}
    main = values(tables.budgets_table(found))
    for k, budget in enumerate(BUDGETS):
        assert curve[budget] == [*main[2 + 2 * k][2:5], *main[3 + 2 * k][2:5]]
    endless = [
        float((tier.correct & tier.radius.values.isinf()).float().mean())
        for s in found.systems
        for tier in tiers(s, found.tree)
    ]
    assert curve[max(curve)] == pytest.approx(endless)


def test_affinity_counts_answers_that_stay_in_a_set():
    found = findings(affinity={"low": node(0, 1, 2), "high": node(2, 3, 4)})
    sets = list(found.affinity.values())
    rows = iter(values(summaries.affinity_table(found)))
    for budget in BUDGETS:
        for system in found.systems:
            inside = [
                [s for s in sets if walk(system, i)[1] <= s and possible(system, i, budget) <= s] for i in range(60)
            ]
            right = [any(int(system.truth[i]) in s for s in inside[i]) for i in range(60)]
            assert next(rows)[3:] == pytest.approx([sum(map(bool, inside)) / 60, sum(right) / 60])
