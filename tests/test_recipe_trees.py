"""Entries for the nodes of trees that are derived later, or cut."""

import pytest
from recipe_toys import GROUPS, minimal, problems, specs, zoo_loader

from hiercls.values.labels import LabelTree, grow
from hiercls.words.errors import ConfigurationError

load = zoo_loader


DERIVED = minimal(
    networks="{flat: {architecture: tiny, trainer: standard}}",
    tree="{build: {merge: {of: flat}}}",
    nodes="{all: {restrict: flat}, pets: {certifier: {smoothing: {draws: 3}}}}",
)


def derived_tree(name: str) -> LabelTree:
    root, pets = frozenset(range(6)), frozenset({2, 3})
    leaves = {k: frozenset({k}) for k in range(6)}
    children = {root: [pets, *(leaves[k] for k in (0, 1, 4, 5))], pets: [leaves[2], leaves[3]]}
    return grow(("airplane", "bird", "cat", "dog", "ship", "1"), children, {pets: name})


def test_the_nodes_of_a_derived_tree_are_resolved_when_it_exists(load) -> None:
    recipe = load(DERIVED.replace("trainer: standard", "trainer: {gaussian: {sigma: 1}}"))
    assert recipe.written_tree() is None
    assert specs(recipe, derived_tree("pets"))["pets"].certifier.draws == 3
    with pytest.raises(ConfigurationError, match=r"^x.yaml:3:32 nodes.pets: matches no node of the tree"):
        recipe.node_specs(derived_tree("dogs"))


def test_entries_for_a_derived_tree_are_checked_before_it_exists(load) -> None:
    text = DERIVED.replace("draws: 3", "drawz: 3").replace("restrict: flat}", "restrict: flt, vieuw: image}")
    assert problems(load, text) == [
        "x.yaml:3:25 nodes.all.restrict: no network is named 'flt'; did you mean 'flat'?",
        "x.yaml:3:30 nodes.all.vieuw: unknown option; did you mean 'view'?",
        "x.yaml:3:76 nodes.pets.certifier.smoothing.drawz: unknown option; did you mean 'draws'?",
    ]


def test_truncation_by_depth_is_seen_by_selectors(load) -> None:
    nodes = "{all: {architecture: tiny, trainer: standard}}"
    recipe = load(minimal(tree=f"{{groups: {GROUPS}, truncate: {{depth: 1}}}}", nodes=nodes))
    assert list(specs(recipe)) == ["root", "vehicles", "living"]
    assert recipe.tree.given.depth == 3
    text = minimal(tree=f"{{groups: {GROUPS}, truncate: {{depth: 1}}}}", nodes=nodes[:-1] + ", living/pets: {}}")
    assert problems(load, text)[0].startswith("x.yaml:3:55 nodes.living/pets: matches no node of the tree")


def test_truncation_by_criterion_joins_nodes_that_are_asked_the_same(load) -> None:
    nodes = """
      all: {architecture: tiny, trainer: standard}
      root: {trainer: {boxed: {eps: 1}}}
      living/pets: {architecture: {tiny: {width: 9}}}
    """
    recipe = load(minimal(tree=f"{{groups: {GROUPS}, truncate: {{criterion: equal}}}}", nodes=nodes))
    assert list(specs(recipe)) == ["root", "vehicles", "living"]
    kept = load(
        minimal(tree=f"{{groups: {GROUPS}, truncate: {{criterion: equal}}}}", nodes=nodes.replace(
            "architecture: {tiny: {width: 9}}", "trainer: {boxed: {eps: 1}}"
        ))
    )  # fmt: skip
    assert "pets" in specs(kept)
