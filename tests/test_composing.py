"""What a recipe may say of a network that is composed of the tree's nodes."""

from pathlib import Path
from textwrap import dedent

import pytest

from hiercls.cli.commands.check import meaning
from hiercls.values.labels import flat_tree
from hiercls.whole.plan import plan
from hiercls.wiring.recipe import ComposedSpec, Recipe, load_recipe
from hiercls.wiring.registry import Registry
from hiercls.wiring.schema import json_schema
from hiercls.words.errors import ConfigurationError

RECIPE = """\
data: {dataset: zoo}
threat: {norm: l2}
networks:
  flat: {architecture: tiny, trainer: {gaussian: {sigma: 0.25}}}
  whole: {compose: tree, certifier: {smoothing: {sigma: 0.5}}}
tree: {groups: {living: [cat, dog, bird], vehicles: [airplane, ship, 1]}}
nodes:
  all: {restrict: flat}
  root: {architecture: tiny, trainer: standard}
baseline: [flat, whole]
"""


@pytest.fixture(scope="module")
def registry() -> Registry:
    found = Registry()
    found.add_path(Path(__file__).with_name("wiring_plugin.py"))
    return found


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: Registry):
    monkeypatch.chdir(tmp_path)

    def write_and_load(text: str, **others: str) -> Recipe:
        for name, content in {"x": text, **others}.items():
            Path(f"{name}.yaml").write_text(dedent(content))
        return load_recipe(Path("x.yaml"), registry)

    return write_and_load


def told(load, was: str, now: str) -> list[str]:
    assert was in RECIPE
    with pytest.raises(ConfigurationError) as error:
        load(RECIPE.replace(was, now))
    return str(error.value).splitlines()


def test_a_composed_network_is_a_baseline_that_trains_nothing(load) -> None:
    recipe = load(RECIPE)
    assert isinstance(recipe.networks["whole"], ComposedSpec)
    planned = plan(recipe, recipe.labels, recipe.written_tree())
    assert list(planned.jobs) == ["flat", "node root"]
    assert [step.name for step in planned.steps if step.kind == "network"] == ["flat", "node root"]
    (paths,) = (step for step in planned.steps if step.kind == "paths")
    assert paths.needs == ("flat", "node root")
    assert planned.composed["whole"] is planned.systems[0]
    assert planned.composed["whole"].networks == ("node root", "flat")
    whole = planned.systems[2]
    assert whole.tree.partition() == flat_tree(recipe.labels).partition()
    (placement,) = whole.nodes.values()
    assert (placement.job, placement.view, placement.certifier.sigma) == ("whole", "image", 0.5)
    assert [head for (head,) in placement.head.outputs] == list(range(6))


def test_the_resolved_recipe_and_check_name_it(load) -> None:
    recipe = load(RECIPE)
    assert load(recipe.resolved()) == recipe
    facts = meaning(recipe)["networks"]["whole"]
    assert facts == {"compose": "tree", "certifier": {"smoothing": {"sigma": 0.5, "draws": 1000}}, "view": "image"}
    uncertified = load(RECIPE.replace("{smoothing: {sigma: 0.5}}", "none"))
    assert uncertified.networks["whole"].certifier is None
    assert load(uncertified.resolved()) == uncertified


def test_the_schema_knows_both_kinds_of_networks(registry: Registry) -> None:
    schema = json_schema(registry)
    kinds = schema["properties"]["networks"]["additionalProperties"]["anyOf"]
    assert kinds == [{"$ref": "#/$defs/ComposedSpec"}, {"$ref": "#/$defs/NetworkSpec"}]
    assert schema["$defs"]["ComposedSpec"]["required"] == ["compose", "certifier"]
    assert schema["$defs"]["NetworkSpec"]["required"] == ["architecture", "trainer"]


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        (
            "compose: tree, certifier: {smoothing: {sigma: 0.5}}",
            "compose: tree",
            ["x.yaml:5:10 networks.whole: certifier is missing: no trainer suggests one; name it, or write none"],
        ),
        (
            "compose: tree",
            "compose: trees",
            ["x.yaml:5:20 networks.whole.compose: found 'trees'; 'tree' would be right; did you mean 'tree'?"],
        ),
        (
            "compose: tree",
            "compose: tree, architecture: tiny, trainer: standard, init: flat",
            [
                f"x.yaml:5:{column} networks.whole.{key}: a composed network has no {key} of its own; remove this or "
                "`compose`"
                for column, key in ((26, "architecture"), (46, "trainer"), (65, "init"))
            ],
        ),
        (
            "{smoothing: {sigma: 0.5}}",
            "boxes",
            [
                "x.yaml:5:37 networks.whole.certifier: 'boxes' certifies what one network computes, not the walk down "
                "a tree; take a certifier of any function, such as randomised smoothing"
            ],
        ),
        (
            "{restrict: flat}",
            "{restrict: whole}",
            [
                "x.yaml:8:19 nodes.all.restrict: 'whole' is composed of the tree and its nodes, and these need one "
                "another: nodes.all -> whole -> nodes.all"
            ],
        ),
        (
            "trainer: standard",
            "trainer: standard, init: whole",
            [
                "x.yaml:9:55 nodes.root.init: 'whole' is composed and has no weights of its own; start from a trained "
                "network"
            ],
        ),
        (
            "{gaussian: {sigma: 0.25}}",
            "{gaussian: {sigma: 0.25}}, init: whole",
            [
                "x.yaml:4:72 networks.flat.init: 'whole' is composed and has no weights of its own; start from a "
                "trained network"
            ],
        ),
        (
            "{groups: {living: [cat, dog, bird], vehicles: [airplane, ship, 1]}}",
            "{build: {merge: {of: whole}}}",
            [
                "x.yaml:6:15 tree.build: 'whole' is composed of the tree and its nodes, and these need one another: "
                "tree -> whole -> tree"
            ],
        ),
        (
            "trainer: standard",
            "trainer: standard, view: lidar",
            [
                "x.yaml:5:20 networks.whole.compose: node 'root' reads 'lidar' and this network 'image'; a tree is "
                "composed on one view"
            ],
        ),
        (
            "{dataset: zoo}",
            "{dataset: zoo, allowed: location}",
            [
                "x.yaml:5:20 networks.whole.compose: data.allowed restricts the labels at every node, and a composed "
                "network decides among all of them; remove one of the two"
            ],
        ),
    ],
    ids=[
        *("no certifier", "another word", "a network of its own", "bounds", "restrict", "a node's init", "init"),
        *("its own tree", "two views", "a mask"),
    ],
)
def test_every_mistake_is_told_with_its_place(load, was: str, now: str, expected: list[str]) -> None:
    assert told(load, was, now) == expected


def test_a_node_without_a_network_leaves_nothing_to_compose(load) -> None:
    assert told(load, "  all: {restrict: flat}\n", "") == [
        f"x.yaml:8:3 nodes: node {node!r} has no architecture and no trainer; write both, or `restrict: network`"
        for node in ("vehicles", "living")
    ]


def test_a_layer_may_compose_what_was_trained_below_and_the_other_way_round(load) -> None:
    composed = load(
        "extends: low.yaml\nnetworks: {other: {compose: tree, certifier: {smoothing: {sigma: 1}}}}\n", low=TRAINED
    )
    assert isinstance(composed.networks["other"], ComposedSpec)
    trained = load("extends: low.yaml\nnetworks: {whole: {architecture: tiny, trainer: standard}}\n", low=RECIPE)
    assert (trained.networks["whole"].init, trained.networks["whole"].certifier) == (None, None)


TRAINED = RECIPE.replace("  whole:", "  other: {architecture: tiny, trainer: standard, init: flat}\n  whole:")


def test_a_composed_network_on_another_view_than_the_threats_reads_what_its_nodes_read(load) -> None:
    text = RECIPE.replace("sigma: 0.25}}}", "sigma: 0.25}}, view: lidar}").replace(
        "standard}", "standard, view: lidar}"
    )
    recipe = load(text.replace("compose: tree", "compose: tree, view: lidar"))
    assert recipe.networks["whole"].view == "lidar"
    with pytest.raises(ConfigurationError, match="node 'root' reads 'lidar' and this network 'image'"):
        load(text)
