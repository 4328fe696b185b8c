"""A parent is at least as robust as its children: where it is not, a user is told before training."""

import json

import pytest
from check_toys import call, node, shape_loader, warned

from hiercls.wiring.cautions import cautions

load = shape_loader

END = "the guarantee of an answer ends at the weakest node on its path"


def test_every_pair_whose_child_is_trained_for_more_is_named(load) -> None:
    recipe = load(f"{{all: {node('eps: 0.1')}, low: {node('eps: 0.3')}, low/less: {node('eps: 0.35')}}}")
    assert warned(recipe) == (
        f"parent 'root' (eps 0.1) is less robust than its child 'low' (eps 0.3): {END}",
        f"parent 'low' (eps 0.3) is less robust than its child 'low/less' (eps 0.35): {END}",
    )


def test_equal_and_falling_budgets_and_uncertain_leaves_are_fine(load) -> None:
    falling = f"{{all: {node('')}, root: {node('eps: 0.3')}, low: {node('eps: 0.3')}, low/less: {node('eps: 0.1')}}}"
    assert warned(load(falling)) == ()
    assert warned(load(f"{{all: {node('', 'none')}, root: {node('eps: 0.3')}}}")) == ()
    assert warned(load(f"{{all: {node('', 'none')}}}")) == ()


@pytest.mark.parametrize(
    ("root", "words"),
    [
        (node(""), "not trained to be robust"),
        (node("", "none"), "not certified"),
        (node("eps: 0.3", "none"), "not certified"),
    ],
)
def test_a_robust_child_under_a_parent_that_holds_nothing_is_named(load, root: str, words: str) -> None:
    below = f"level 1: {node('', 'none')}, level 2: {node('', 'none')}"
    recipe = load(f"{{{below}, root: {root}, high: {node('eps: 0.05')}}}")
    assert warned(recipe) == (f"parent 'root' ({words}) is less robust than its child 'high' (eps 0.05): {END}",)


def test_robustness_without_a_budget_is_more_than_none_and_no_more_is_known(load) -> None:
    other = node("suggests: lipschitz", "{}").replace(", certifier: {}", "")
    weak = load(f"{{all: {node('', 'none')}, high: {other}}}")
    assert warned(weak) == (
        f"parent 'root' (not certified) is less robust than its child 'high' (trained to be robust): {END}",
    )
    assert warned(load(f"{{all: {other}, root: {node('eps: 0.1')}}}")) == ()
    assert warned(load(f"{{all: {node('eps: 0.1')}, root: {other}}}")) == ()


def test_a_restricted_node_is_as_robust_as_its_network(load) -> None:
    networks = "{flat: {architecture: {shape: {kind: plain}}, trainer: {fit: {eps: 0.2, suggests: ibp}}}}"
    assert warned(load("{all: {restrict: flat}}", networks=networks)) == ()
    recipe = load(f"{{all: {{restrict: flat}}, root: {node('eps: 0.1')}}}", networks=networks)
    assert [sentence.partition(":")[0] for sentence in warned(recipe)] == [
        "parent 'root' (eps 0.1) is less robust than its child 'low' (eps 0.2)",
        "parent 'root' (eps 0.1) is less robust than its child 'high' (eps 0.2)",
    ]


def test_a_node_out_of_reach_gives_its_place_to_its_parent(load, monkeypatch: pytest.MonkeyPatch) -> None:
    from hiercls_plugins.datasets.digits import Digits

    monkeypatch.setattr(Digits, "views", lambda self: {"image": (1, 8, 8), "depth": (64,)})
    away = node("eps: 0.01").replace("}, certifier", "}, view: depth, certifier")
    assert warned(load(f"{{all: {node('eps: 0.1')}, root: {away}}}")) == ()
    recipe = load(f"{{all: {node('eps: 0.1')}, low: {away}, low/less: {node('eps: 0.2')}}}")
    assert warned(recipe) == (f"parent 'root' (eps 0.1) is less robust than its child 'low/less' (eps 0.2): {END}",)


def test_check_and_every_verb_warn(load, capsys: pytest.CaptureFixture[str]) -> None:
    load(f"{{all: {node('eps: 0.1')}, high: {node('eps: 0.3')}}}")
    sentence = f"parent 'root' (eps 0.1) is less robust than its child 'high' (eps 0.3): {END}"
    code, out, _ = call(capsys, "check", "x.yaml", "--json")
    assert (code, json.loads(out)["warnings"]) == (0, [sentence])
    assert call(capsys, "status", "x.yaml")[2] == f"warning: {sentence}\n"


def test_a_derived_tree_is_judged_when_it_exists(load) -> None:
    networks = "{flat: {architecture: {shape: {kind: plain}}, trainer: {fit: {eps: 0.2, suggests: ibp}}}}"
    build = "{build: {agglomerative: {of: flat}}}"
    recipe = load(f"{{all: {{restrict: flat}}, root: {node('')}}}", networks=networks, tree=build)
    assert recipe.written_tree() is None
    assert cautions(recipe, None) == ()
    given = load("{all: {restrict: flat}}", networks=networks).written_tree()
    assert len(cautions(recipe, given)) == 2
