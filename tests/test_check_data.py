"""What does not fit the data, told before training: budgets beyond the domain, labels that are not there."""

import pytest
from check_toys import node, shape_loader, told, warned

from hiercls.words.threats import EVERYWHERE, Domain

load = shape_loader


@pytest.mark.parametrize(
    ("budget", "why"),
    [
        ("8", ", did you mean 8/255?"),
        ("1.5", ""),
        ("300", ""),
    ],
)
def test_a_budget_above_the_domain_is_told_at_its_place(load, budget: str, why: str) -> None:
    threat = f"{{norm: linf, budgets: [0.1, {budget}]}}"
    assert told(load, f"{{all: {node('')}}}", threat=threat) == [
        f"x.yaml:3:37 threat.budgets.1: found {budget}; every input in [0, 1] lies within linf {budget}; "
        f"budgets are in units of the view{why}"
    ]


def test_a_training_budget_above_the_domain_is_told_at_its_trainer(load) -> None:
    networks = "{flat: {architecture: {shape: {kind: plain}}, trainer: {fit: {eps: 2, suggests: ibp}}}}"
    why = "lies within linf {0}; budgets are in units of the view, did you mean {0}/255?"
    assert told(load, f"{{all: {{restrict: flat}}, high: {node('eps: 8')}}}", networks=networks) == [
        f"x.yaml:5:86 nodes.high.trainer: 'fit' trains for 8; every input in [0, 1] {why.format(8)}",
        f"x.yaml:6:66 networks.flat.trainer: 'fit' trains for 2; every input in [0, 1] {why.format(2)}",
    ]


def test_budgets_of_other_norms_and_domains_are_judged_by_them(load) -> None:
    assert load(f"{{all: {node('')}}}", threat="{norm: linf, budgets: [1]}").threat.budgets == (1,)
    l2 = load(f"{{all: {node('eps: 8', 'lipschitz')}}}", threat="{norm: l2, budgets: [8]}")
    assert l2.threat.budgets == (8,)
    wide = load(f"{{all: {node('eps: 8')}}}", threat="{norm: linf, budgets: [8], domain: {box: [0, 255]}}")
    assert wide.threat.budgets == (8,)
    assert EVERYWHERE.excess(1e9) is None
    assert Domain("box", 0, 4).excess(8) == "every input in [0, 4] lies within linf 8; budgets are in units of the view"


def test_a_group_that_misses_a_label_or_names_an_unknown_one_is_told(load) -> None:
    groups = '{low: ["0", "1", "2", "3", "four"], high: ["5", "6", "7", "8"]}'
    assert told(load, f"{{all: {node('')}}}", tree=f"{{groups: {groups}}}") == [
        "x.yaml:4:8 tree.groups: '4', '9' in no group; every label stands in one",
        "x.yaml:4:43 tree.groups.low.4: unknown label 'four'; the labels are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
    ]


def test_an_affinity_that_names_an_unknown_label_is_told_and_one_that_misses_some_is_warned_of(load) -> None:
    nodes = f"{{all: {node('')}}}"
    assert told(load, nodes, report='{affinity: {low: ["0", "ten"]}}') == [
        "x.yaml:6:32 report.affinity.low.1: unknown label 'ten'; the labels are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    ]
    recipe = load(nodes, report='{affinity: {low: ["0", "1", "2", "3"], high: ["5", "6", "7", "8", "3"]}}')
    assert warned(recipe) == (
        "report.affinity: no set holds '4', '9'; such an answer counts as one that leaves its set",
    )
    assert warned(load(nodes)) == ()
