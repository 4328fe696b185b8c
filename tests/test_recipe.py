"""Recipes: every mistake told at once and with its place; entries that merge as they are meant to."""

import json
import py_compile
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from hiercls.values.labels import LabelTree, grow
from hiercls.wiring.local_plugins import add_plugins_of
from hiercls.wiring.path_plugins import sha256_of
from hiercls.wiring.recipe import NodeSpec, Recipe, load_recipe
from hiercls.wiring.registry import Registry
from hiercls.wiring.schema import json_schema
from hiercls.words.errors import ConfigurationError, DataError, HierclsError, PluginError
from hiercls.words.norms import L2, LINF, Norm
from hiercls.words.threats import Domain

PLUGIN = Path(__file__).with_name("wiring_plugin.py")

GROUPS = "{living: {pets: [cat, dog], bird: bird}, vehicles: [airplane, ship, 1]}"
FULL = f"""\
name: zoo-run
seed: 3
data: {{dataset: zoo, held_out: 0.1, allowed: location}}
threat: {{norm: l2, budgets: [8/255, 0.5]}}
networks:
  flat: {{architecture: tiny, trainer: {{gaussian: {{sigma: 0.25}}}}, certifier: {{smoothing: {{draws: 100_000}}}}}}
baseline: flat
tree: {{groups: {GROUPS}}}
nodes:
  all: {{restrict: flat}}
  root: {{architecture: tiny, trainer: {{boxed: {{eps: 8/255}}}}, init: flat}}
  living/*: {{certifier: {{smoothing: {{draws: 10}}}}}}
certify: {{inputs: {{each: 3, level: 1}}, alpha: 1e-3}}
metrics: [share, {{share: {{at: 1}}}}]
report: {{affinity: {{safe: [cat, 1]}}}}
"""


@pytest.fixture(scope="module")
def registry() -> Registry:
    found = Registry()
    found.add_path(PLUGIN)
    return found


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: Registry):
    """Write YAMLs into the working folder and load the one called `x.yaml`."""
    monkeypatch.chdir(tmp_path)

    def write_and_load(text: str, /, others: dict[str, str] | None = None, **settings: Any) -> Recipe:
        for name, content in {"x.yaml": text, **(others or {})}.items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(dedent(content))
        return load_recipe(Path("x.yaml"), registry, **settings)

    return write_and_load


def problems(load, text: str, error: type[HierclsError] = ConfigurationError, **settings: Any) -> list[str]:
    with pytest.raises(error) as told:
        load(text, **settings)
    assert type(told.value) is error
    return str(told.value).splitlines()


def specs(recipe: Recipe, tree: LabelTree | None = None) -> dict[str, NodeSpec]:
    tree = tree or recipe.written_tree()
    assert tree is not None
    return {tree.name(node): spec for node, spec in recipe.node_specs(tree).items()}


def minimal(**sections: str) -> str:
    """A YAML on the flat tree in which nothing is wrong, with some sections replaced or added."""
    text = {
        "data": "{dataset: zoo}",
        "threat": "{norm: linf}",
        "nodes": "{root: {architecture: tiny, trainer: standard}}",
    }
    return "".join(f"{key}: {value}\n" for key, value in {**text, **sections}.items())


# values


def test_everything_that_is_written_arrives(load) -> None:
    recipe = load(FULL)
    assert (recipe.name, recipe.seed, recipe.threads, recipe.baseline) == ("zoo-run", 3, 1, ("flat",))
    assert recipe.threat.norm == L2
    assert recipe.threat.budgets == (8 / 255, 0.5)
    assert recipe.threat.domain == Domain()
    assert (recipe.data.held_out, recipe.data.allowed) == (0.1, "location")
    assert recipe.networks["flat"].view == "image"
    assert recipe.document(recipe.networks["flat"].certifier) == {"smoothing": {"sigma": 0.25, "draws": 100_000}}
    assert (recipe.certify.inputs.each, recipe.certify.inputs.level, recipe.certify.alpha) == (3, 1, 0.001)
    assert [recipe.document(metric) for metric in recipe.metrics] == [{"share": {"at": 0.5}}, {"share": {"at": 1.0}}]
    assert recipe.report.affinity == {"safe": ("cat", "1")}
    assert recipe.source == Path("x.yaml")
    assert recipe.labels == ("airplane", "bird", "cat", "dog", "ship", "1")


def test_what_is_not_written_has_the_documented_default(load) -> None:
    recipe = load("data: {dataset: zoo}\nnodes: {root: {architecture: tiny, trainer: standard}}\n")
    assert (recipe.name, recipe.seed, recipe.threads, recipe.networks) == ("x", 0, 1, {})
    assert (recipe.threat.norm, recipe.threat.view, recipe.threat.budgets) == (LINF, "image", ())
    assert (recipe.certify.inputs, recipe.certify.alpha, recipe.certify.joint) == ("all", 0.001, False)
    assert recipe.audit.inputs == 100
    assert recipe.document(recipe.audit.attack) == {"pgd": {"steps": 10}}
    assert recipe.written_tree().depth == 1


def test_the_resolved_recipe_reads_back_equal(load) -> None:
    recipe = load(FULL)
    again = load(recipe.resolved())
    assert again == recipe
    assert again.resolved() == recipe.resolved()
    assert load(FULL.replace("seed: 3", "seed: 4")) != recipe


def test_a_removed_certifier_stays_removed_when_read_back(load) -> None:
    networks = "{flat: {architecture: tiny, trainer: {gaussian: {sigma: 1}}, certifier: none}}"
    recipe = load(minimal(networks=networks))
    assert recipe.networks["flat"].certifier is None
    assert load(recipe.resolved()) == recipe


@pytest.mark.parametrize(
    ("written", "domain"),
    [
        ("all", Domain("all")),
        ("{box: [-1, 2.5]}", Domain("box", -1.0, 2.5)),
        ("{grid: 255}", Domain("grid", 0.0, 1.0, 255)),
        ("{grid: {levels: 15, box: [0, 2]}}", Domain("grid", 0.0, 2.0, 15)),
    ],
)
def test_every_domain_is_read_and_written_back(load, written: str, domain: Domain) -> None:
    recipe = load(minimal(threat=f"{{norm: l1.3, domain: {written}}}"))
    assert recipe.threat.domain == domain
    assert recipe.threat.norm == Norm(1.3)
    assert load(recipe.resolved()) == recipe


def test_numbers_are_numbers_and_quoted_text_is_text(load) -> None:
    recipe = load(minimal(certify="{inputs: 1_0, alpha: 1e-3}", audit="{inputs: 0x10}"))
    assert (recipe.certify.inputs, recipe.certify.alpha, recipe.audit.inputs) == (10, 0.001, 16)
    assert problems(load, minimal(threat="{norm: linf, budgets: ['8/255']}")) == [
        "x.yaml:2:32 threat.budgets.0: found '8/255'; write it without quotes"
    ]
    assert problems(load, minimal(threat="{norm: linf, budgets: ['much']}")) == [
        "x.yaml:2:32 threat.budgets.0: found 'much'; a number would be right"
    ]


def test_a_list_of_one_is_written_as_a_list(load) -> None:
    assert problems(load, minimal(threat="{norm: linf, budgets: 8/255}")) == [
        "x.yaml:2:31 threat.budgets: found 8/255; write [8/255]"
    ]


@pytest.mark.parametrize("found", ["3", "[3]", "[0, 1, 2]"])
def test_a_list_of_two_is_asked_for_with_its_default(load, found: str) -> None:
    assert problems(load, minimal(threat=f"{{norm: linf, domain: {{grid: {{box: {found}}}}}}}")) == [
        f"x.yaml:2:43 threat.domain.grid.box: found {found}; write a list of 2, such as [0, 1]"
    ]


@pytest.mark.parametrize("found", ["3", "[3]"])
def test_a_list_of_two_without_a_default_is_asked_for(load, found: str) -> None:
    assert problems(load, minimal(threat=f"{{norm: linf, domain: {{box: {found}}}}}")) == [
        f"x.yaml:2:36 threat.domain.box: found {found}; write a list of 2"
    ]


def test_an_option_of_a_nested_mapping_is_told_where_it_stands(load) -> None:
    assert problems(load, minimal(networks="{a: {architecture: tiny, trainer: {boxed: {eps: 1, epochs: 4}}}}")) == [
        "x.yaml:4:62 networks.a.trainer.boxed.epochs: unknown option; it stands in `schedule`"
    ]


def test_a_fraction_is_accepted_wherever_a_number_is(load) -> None:
    recipe = load(minimal(networks="{a: {architecture: tiny, trainer: {boxed: {eps: 2 / 255}}}}"))
    assert recipe.networks["a"].trainer.eps == 2 / 255


def test_labels_that_look_like_numbers_are_names(load) -> None:
    recipe = load(FULL)
    assert recipe.tree.groups["vehicles"] == ["airplane", "ship", "1"]


def test_anchors_and_merge_keys_work(load) -> None:
    text = """\
    data: {dataset: zoo}
    networks:
      a: &base {architecture: tiny, trainer: standard}
      b: {<<: *base, trainer: {boxed: {eps: 1}}}
    nodes: {all: {restrict: a}}
    """
    recipe = load(text)
    assert recipe.document(recipe.networks["b"].trainer)["boxed"]["eps"] == 1.0
    assert recipe.document(recipe.networks["b"].architecture) == {"tiny": {"width": 4}}


def test_values_can_be_set_on_top_of_the_file(load) -> None:
    recipe = load(FULL, overrides=["certify.inputs=7", "networks.flat.trainer.gaussian.sigma=1/2"])
    assert recipe.certify.inputs == 7
    assert recipe.networks["flat"].certifier.sigma == 0.5
    assert recipe.name == "zoo-run"
    assert problems(load, FULL, overrides=["certify"]) == [
        "--set certify: found no assignment; write key.path=value, such as certify.inputs=100"
    ]
    (told,) = problems(load, FULL, overrides=["certify.inputs=x"])
    assert told.startswith("--set certify.inputs=x:1:1 certify.inputs: found 'x'; a whole number or 'all'")


# mistakes


def test_all_mistakes_are_told_at_once_each_with_its_place(load) -> None:
    text = """\
    name: a/b
    sede: 3
    data: {dataset: zoo, held_out: 1.5}
    threat: {norm: l0.5, budgets: [-1, x]}
    networks:
      flat:
        architecture: tinny
        trainer: {gaussian: {sigam: 0.25}}
        certifier: {smoothing: {draws: many}}
    baseline: flt
    nodes:
      all: {restrict: flat}
    certify: {alpha: 2, joint: 1}
    """
    assert problems(load, text) == [
        "x.yaml:1:7 name: found 'a/b'; a name of letters, digits, '.', '_' and '-' is right, for it names a folder",
        "x.yaml:2:1 sede: unknown option; did you mean 'seed'?",
        "x.yaml:3:32 data.held_out: found 1.5; a whole number or less than 1 would be right",
        "x.yaml:4:16 threat.norm: l0.5 is not a norm; p must be at least 1",
        "x.yaml:4:32 threat.budgets.0: found -1; more than 0 would be right",
        "x.yaml:4:36 threat.budgets.1: found 'x'; a number would be right",
        "x.yaml:7:19 networks.flat.architecture: unknown architecture 'tinny'; did you mean 'tiny'?",
        "x.yaml:8:25 networks.flat.trainer.gaussian: sigma is missing: noise standard deviation",
        "x.yaml:8:26 networks.flat.trainer.gaussian.sigam: unknown option; did you mean 'sigma'?",
        "x.yaml:9:36 networks.flat.certifier.smoothing.draws: found 'many'; a whole number would be right",
        "x.yaml:10:11 baseline: no network is named 'flt'; did you mean 'flat'?",
        "x.yaml:13:18 certify.alpha: found 2; less than 0.5 would be right",
        "x.yaml:13:28 certify.joint: found 1; true or false would be right",
    ]


def test_an_option_deep_inside_a_component_keeps_its_path(load) -> None:
    nodes = "{root: {architecture: tiny, trainer: {standard: {schedule: {epoch: 3, optimizer: adm}}}}}"
    assert problems(load, minimal(nodes=nodes)) == [
        "x.yaml:3:68 nodes.root.trainer.standard.schedule.epoch: unknown option; did you mean 'epochs'?",
        "x.yaml:3:89 nodes.root.trainer.standard.schedule.optimizer: found 'adm'; 'adam' or 'sgd' would be right; "
        "did you mean 'adam'?",
    ]


def test_a_wrong_option_of_a_suggested_certifier_is_found_in_its_own_line(load) -> None:
    text = """\
    data: {dataset: zoo}
    nodes:
      all: {architecture: tiny, trainer: {gaussian: {sigma: 1}}}
      root:
        certifier:
          smoothing:
            sigam: 2
    """
    assert problems(load, text) == [
        "x.yaml:7:9 nodes.root.certifier.smoothing.sigam: unknown option; did you mean 'sigma'?"
    ]


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"data": "{}"}, ["x.yaml:1:7 data: dataset is missing"]),
        ({"data": "zoo"}, ["x.yaml:1:7 data: found 'zoo'; write a mapping of dataset, allowed, held_out"]),
        (
            {"data": "{dataset: [zoo]}"},
            ["x.yaml:1:17 data.dataset: found ['zoo']; write a dataset as `name` or `{name: {options}}`"],
        ),
        ({"data": "{dataset: {zoo: 3}}"}, [
            "x.yaml:1:23 data.dataset.zoo: found 3; the options of 'zoo' are a mapping"
        ]),
        ({"data": "{dataset: {zoo: {size: 3}}}"}, [
            "x.yaml:1:24 data.dataset.zoo.size: unknown option; known are lost"
        ]),
        ({"data": "{dataset: zoo, allowed: image}"}, [
            "x.yaml:1:31 data.allowed: no view 'image' of the dataset restricts labels; such views are location"
        ]),
        ({"data": "{dataset: tiny}"}, ["x.yaml:1:17 data.dataset: unknown dataset 'tiny'; 'tiny' is an architecture"]),
        ({"threat": "{budgets: [1]}"}, ["x.yaml:2:9 threat: norm is missing"]),
        ({"threat": "{norm: max}"}, ["x.yaml:2:16 threat.norm: 'max' is unknown; write linf, l2, l1 or l<p>"]),
        ({"threat": "{norm: l2, view: lidr}"}, [
            "x.yaml:2:26 threat.view: the dataset has no view 'lidr'; did you mean 'lidar'?"
        ]),
        ({"threat": "{norm: l2, view: [image, lidar]}"}, [
            "x.yaml:2:26 threat.view: found ['image', 'lidar']; text would be right"
        ]),
        ({"threat": "{norm: l2, domain: {box: [1, 0]}}"}, ["x.yaml:2:9 threat: domain: the box [1, 0] is empty"]),
        ({"threat": "{norm: l2, domain: {}}"}, [
            "x.yaml:2:28 threat.domain: write `all`, `{box: [low, high]}` or `{grid: levels}`"
        ]),
        ({"seed": "-1"}, ["x.yaml:4:7 seed: found -1; at least 0 would be right"]),
        ({"threads": "0"}, ["x.yaml:4:10 threads: found 0; at least 1 would be right"]),
        ({"metrics": "[shar]"}, ["x.yaml:4:11 metrics.0: unknown metric 'shar'; did you mean 'share'?"]),
        ({"audit": "{inputs: 0}"}, ["x.yaml:4:17 audit.inputs: found 0; at least 1 would be right"]),
        ({"certify": "{inputs: {each: 0, level: 1}}"}, [
            "x.yaml:4:26 certify.inputs.each: found 0; at least 1 would be right"
        ]),
        ({"report": "{affinity: {a: [cat, cow]}}"}, [
            "x.yaml:4:30 report.affinity.a.1: unknown label 'cow'; the labels are 1, airplane, bird, cat, dog, ship"
        ]),
        ({"report": "{affinity: {a: [cat, dog, bird, ship, airplane, 1]}}"}, [
            "x.yaml:4:21 report.affinity.a: a set of all labels says nothing; leave it out"
        ]),
        ({"tree": "{truncate: {depth: 1}}"}, [
            "x.yaml:4:7 tree: found truncate without groups or build; a flat tree has nothing to cut"
        ]),
        ({"tree": "{build: merge, truncate: {depth: 1}}"}, ["x.yaml:4:15 tree.build.merge: of is missing"]),
        ({"tree": f"{{groups: {GROUPS}, truncate: {{depth: 1, criterion: equal}}}}"}, [
            "x.yaml:4:99 tree.truncate: write either `depth: d` or `criterion: equal`"
        ]),
        ({"tree": "{build: {merge: {of: flat}}}"}, [
            "x.yaml:4:15 tree.build: it needs a network 'flat', and none has this name; there are none"
        ]),
        ({"nodes": "{}"}, [
            "x.yaml:3:8 nodes: node 'root' has no architecture and no trainer; write both, or `restrict: network`"
        ]),
        ({"nodes": "{all: {restrict: flat}}"}, [
            "x.yaml:3:25 nodes.all.restrict: no network is named 'flat'; there are none"
        ]),
        ({"nodes": "{all: standard}"}, [
            "x.yaml:3:14 nodes.all: found 'standard'; write a mapping of restrict, architecture, trainer, init, "
            "certifier, view"
        ]),
        ({"nodes": "{all: {architecture: tiny, trainer: standard, view: lidr}}"}, [
            "x.yaml:3:60 nodes.all.view: the dataset has no view 'lidr'; did you mean 'lidar'?"
        ]),
    ],
)  # fmt: skip
def test_every_mistake_has_one_clear_message(load, sections: dict[str, str], told: list[str]) -> None:
    assert problems(load, minimal(**sections)) == told


def test_a_key_twice_names_both_lines(load) -> None:
    assert problems(load, minimal() + "data: {dataset: zoo}\n") == [
        "x.yaml:4:1 data: found twice; the first stands in line 1"
    ]


def test_wrong_labels_are_told_with_their_places(load) -> None:
    text = """\
    data: {dataset: zoo}
    tree:
      groups:
        living: [cat, cat]
        root: [shp, airplane]
        none: []
    nodes: {all: {architecture: tiny, trainer: standard}}
    """
    assert problems(load, text) == [
        "x.yaml:3:3 tree.groups: 'bird', 'dog', 'ship', '1' in no group; every label stands in one",
        "x.yaml:4:19 tree.groups.living.1: label 'cat' stands twice; first at x.yaml:4:14",
        "x.yaml:5:5 tree.groups.root: 'root' means something else in `nodes:`; name the group otherwise",
        "x.yaml:5:12 tree.groups.root.0: unknown label 'shp'; did you mean 'ship'?",
        "x.yaml:6:11 tree.groups.none: an empty group; name at least one label",
    ]


def test_groups_and_a_builder_exclude_each_other(load) -> None:
    networks = "{flat: {architecture: tiny, trainer: standard}}"
    text = minimal(networks=networks, tree=f"{{groups: {GROUPS}, build: {{merge: {{of: flat}}}}}}")
    assert problems(load, text) == ["x.yaml:5:7 tree: found both groups and build; keep one of the two"]


def test_networks_that_start_from_one_another_are_named(load) -> None:
    text = """\
    data: {dataset: zoo}
    networks:
      a: {architecture: tiny, trainer: standard, init: b}
      b: {architecture: tiny, trainer: standard, init: c}
      c: {architecture: tiny, trainer: standard, init: a}
      d: {architecture: tiny, trainer: standard, init: e}
    nodes: {all: {restrict: a}}
    """
    assert problems(load, text) == [
        "x.yaml:3:52 networks.a.init: the networks start from one another: a -> b -> c -> a",
        "x.yaml:6:52 networks.d.init: no network is named 'e'; named are a, b, c, d",
    ]


def test_a_baseline_twice_is_told(load) -> None:
    assert problems(load, FULL.replace("baseline: flat", "baseline: [flat, flat]")) == [
        "x.yaml:7:18 baseline.1: baseline 'flat' stands twice; keep one of the two"
    ]


def test_a_file_that_is_not_yaml_names_the_place(load) -> None:
    assert problems(load, "data: [1,\nseed: }") == ["x.yaml:2:7: not YAML: expected the node content, but found '}'"]
    assert problems(load, "- 1") == ["x.yaml:1:1: found no mapping; a recipe is a mapping of keys to values"]
    assert problems(load, "a: &x [*x]") == ["x.yaml:1:4 a.0: an anchor that holds itself"]
    assert problems(load, "? [1]\n: 2") == ["x.yaml:1:3 : a key must be plain text"]
    assert problems(load, minimal(seed="!big 3", threads="1/0"))[:2] == [
        "x.yaml:4:7 seed: found the tag !big; tags are not supported",
        "x.yaml:5:10 threads: found '1/0'; this is no number",
    ]


def test_a_file_that_cannot_be_read_is_a_data_error(load, tmp_path: Path, registry: Registry) -> None:
    with pytest.raises(DataError, match=r"^nowhere.yaml: cannot be read: No such file or directory$"):
        load_recipe("nowhere.yaml", registry)
    (tmp_path / "x.yaml").write_bytes(b"a: \xff")
    with pytest.raises(DataError, match="is not UTF-8 text"):
        load_recipe(tmp_path / "x.yaml", registry)


def test_a_lost_dataset_is_told_after_the_mistakes_of_the_file(load, tmp_path: Path) -> None:
    lost = minimal(data="{dataset: {zoo: {lost: true}}}")
    assert problems(load, lost, DataError, root=tmp_path) == [f"zoo: nothing found under {tmp_path}"]
    assert problems(load, lost + "sede: 1\n") == ["x.yaml:4:1 sede: unknown option; did you mean 'seed'?"]


# refusals


def test_a_certifier_that_cannot_serve_the_threat_is_refused_where_it_is_written(load) -> None:
    text = FULL.replace("budgets: [8/255, 0.5]", "domain: all")
    assert problems(load, text) == [
        "x.yaml:11:39 nodes.root.certifier: 'boxes' cannot serve this threat: interval boxes need a bounded domain"
    ]


def test_a_view_out_of_reach_needs_no_fitting_certifier(load) -> None:
    text = FULL.replace("budgets: [8/255, 0.5]", "domain: all").replace("init: flat", "init: flat, view: lidar")
    assert specs(load(text))["root"].view == "lidar"


def test_the_certifier_of_a_baseline_must_serve_the_threat(load) -> None:
    networks = "{flat: {architecture: tiny, trainer: {boxed: {eps: 1}}}}"
    kept = minimal(threat="{norm: l2, domain: all}", networks=networks)
    assert load(kept).networks["flat"].certifier is not None
    assert problems(load, kept + "baseline: flat\n") == [
        "x.yaml:4:48 networks.flat.certifier: 'boxes' cannot serve this threat: interval boxes need a bounded domain"
    ]


# certifiers: suggested, amended, fallen


def test_a_trainers_suggestion_is_amended_key_by_key(load) -> None:
    found = load(FULL)
    assert found.document(specs(found)["pets"].certifier) == {"smoothing": {"sigma": 0.25, "draws": 10}}
    assert found.document(specs(found)["vehicles"].certifier) == {"smoothing": {"sigma": 0.25, "draws": 100_000}}
    assert found.document(specs(found)["root"].certifier)["boxes"]["sigma"] == 1.0


def test_another_name_replaces_a_suggestion_and_none_removes_it(load) -> None:
    trained = "architecture: tiny, trainer: {gaussian: {sigma: 2}}"
    replaced = load(minimal(nodes=f"{{root: {{{trained}, certifier: boxes}}}}"))
    assert replaced.document(specs(replaced)["root"].certifier) == {"boxes": {"sigma": 1.0, "draws": 1000}}
    removed = load(minimal(nodes=f"{{root: {{{trained}, certifier: none}}}}"))
    assert specs(removed)["root"].certifier is None
    empty = load(minimal(nodes=f"{{root: {{{trained}, certifier: }}}}"))
    assert specs(empty)["root"].certifier.sigma == 2.0


def test_two_selectors_may_both_say_that_a_node_has_no_certifier(load) -> None:
    trained = "architecture: tiny, trainer: {gaussian: {sigma: 2}}"
    found = load(minimal(nodes=f"{{all: {{{trained}, certifier: none}}, root: {{certifier: none}}}}"))
    assert specs(found)["root"].certifier is None


def test_an_inherited_certifier_falls_with_its_trainer(load) -> None:
    nodes = """
      all: {architecture: tiny, trainer: {gaussian: {sigma: 1}}, certifier: {smoothing: {draws: 5}}}
      last: {trainer: {gaussian: {sigma: 2}}}
      root: {trainer: standard}
    """
    found = specs(load(minimal(tree=f"{{groups: {GROUPS}}}", nodes=nodes)))
    assert (found["pets"].certifier.sigma, found["pets"].certifier.draws) == (2.0, 5)
    assert found["root"].certifier is None


# selectors

CHAIN = {"all": 1, "inner": 2, "last": 3, "level 1": 4, "root": 5, "living/*": 6, "living/pets": 7}
"""Selectors from the weakest to the strongest, each with the epochs that it sets in the test."""


def test_the_strongest_selector_wins_whatever_the_order_of_the_file(load) -> None:
    def read(names: list[str]) -> dict[str, int]:
        entries = "".join(
            f"  {name}: {{architecture: tiny, trainer: {{standard: {{schedule: {{epochs: {CHAIN[name]}}}}}}}}}\n"
            for name in names
        )
        recipe = load(minimal(tree=f"{{groups: {GROUPS}}}", nodes="\n" + entries))
        return {name: spec.trainer.schedule.epochs for name, spec in specs(recipe).items()}

    assert read(list(CHAIN)) == {"root": 5, "living": 4, "vehicles": 4, "pets": 7}
    assert read(list(reversed(CHAIN))) == read(list(CHAIN))
    without_level = [name for name in CHAIN if name != "level 1"]
    assert read(without_level) == {"root": 5, "living": 2, "vehicles": 3, "pets": 7}
    assert read(["all", "last", "living/*"]) == {"root": 1, "living": 1, "vehicles": 3, "pets": 6}


def test_entries_merge_key_by_key(load) -> None:
    nodes = """
      all: {architecture: {tiny: {width: 9}}, trainer: {standard: {schedule: {epochs: 7}}}}
      root: {trainer: {standard: {schedule: {optimizer: sgd}}}, architecture: tiny}
    """
    root = specs(load(minimal(nodes=nodes)))["root"]
    assert (root.architecture.width, root.trainer.schedule.epochs, root.trainer.schedule.optimizer) == (9, 7, "sgd")


def test_the_strongest_entry_decides_between_restricted_and_trained(load) -> None:
    nodes = """
      all: {architecture: tiny, trainer: standard}
      last: {restrict: flat}
      living/pets: {trainer: {boxed: {eps: 1}}}
    """
    networks = "{flat: {architecture: tiny, trainer: {gaussian: {sigma: 1}}}}"
    found = specs(load(minimal(networks=networks, tree=f"{{groups: {GROUPS}}}", nodes=nodes)))
    assert found["root"].restrict is None
    assert (found["vehicles"].restrict, found["vehicles"].trainer, found["vehicles"].architecture) == (
        "flat",
        None,
        None,
    )
    assert found["vehicles"].certifier.sigma == 1.0
    assert found["pets"].restrict is None
    assert found["pets"].trainer.eps == 1.0
    assert found["pets"].architecture is not None


def test_two_equally_strong_entries_that_set_one_key_are_told_with_both_places(load) -> None:
    nodes = """
      all: {architecture: tiny, trainer: standard}
      living/p*: {trainer: standard}
      "*/pets": {restrict: flat, view: image}
    """
    networks = "{flat: {architecture: tiny, trainer: standard}}"
    assert problems(load, minimal(networks=networks, tree=f"{{groups: {GROUPS}}}", nodes=nodes)) == [
        "x.yaml:6:18 nodes.*/pets.restrict: 'living/p*' at x.yaml:5:19 speaks as strongly of node 'living/pets' and "
        "sets 'trainer' too; name the node by its path"
    ]


def test_two_equally_strong_entries_that_set_different_keys_merge(load) -> None:
    nodes = """
      all: {architecture: tiny, trainer: standard}
      living/p*: {trainer: {boxed: {eps: 1}}}
      "*/pets": {architecture: {tiny: {width: 3}}}
    """
    pets = specs(load(minimal(tree=f"{{groups: {GROUPS}}}", nodes=nodes)))["pets"]
    assert (pets.trainer.eps, pets.architecture.width) == (1.0, 3)


def test_a_star_stands_for_one_name_and_two_stars_for_any_number(load) -> None:
    def widths(selector: str) -> set[str]:
        nodes = f"""
      all: {{architecture: tiny, trainer: standard}}
      "{selector}": {{architecture: {{tiny: {{width: 9}}}}}}
    """
        recipe = load(minimal(tree=f"{{groups: {GROUPS}}}", nodes=nodes))
        return {name for name, spec in specs(recipe).items() if spec.architecture.width == 9}

    assert widths("*") == {"living", "vehicles"}
    assert widths("living/*") == {"pets"}
    assert widths("**/pets") == {"pets"}
    assert widths("**") == {"living", "vehicles", "pets"}


def test_a_selector_that_matches_nothing_is_told(load) -> None:
    nodes = "{all: {architecture: tiny, trainer: standard}, livin: {init: x}, level 7: {}, root/living: {}}"
    assert problems(load, minimal(tree=f"{{groups: {GROUPS}}}", nodes=nodes)) == [
        "x.yaml:3:55 nodes.livin: matches no node of the tree, whose levels are 0 to 2; did you mean 'living'?",
        "x.yaml:3:69 nodes.livin.init: no network is named 'x'; there are none",
        "x.yaml:3:73 nodes.level 7: matches no node of the tree, whose levels are 0 to 2; to be named are all, inner, "
        "last, living, living/pets, root, vehicles",
        "x.yaml:3:86 nodes.root/living: matches no node of the tree, whose levels are 0 to 2; did you mean 'living'?",
    ]


def test_no_selector_is_offered_that_matches_nothing_either(load) -> None:
    text = minimal(tree=f"{{groups: {GROUPS}, truncate: {{depth: 1}}}}", nodes="{all: {restrict: flat}, inner: {}}")
    assert problems(load, text)[-1] == (
        "x.yaml:3:32 nodes.inner: matches no node of the tree, whose levels are 0 to 1; to be named are all, last, "
        "living, root, vehicles"
    )
    flat = minimal(nodes="{all: {restrict: flat}, inners: {}}")
    assert problems(load, flat)[-1] == (
        "x.yaml:3:32 nodes.inners: matches no node of the tree, whose only level is 0; to be named are all, last, root"
    )


def test_unnamed_groups_are_selected_by_their_labels(load) -> None:
    nodes = """
      all: {architecture: tiny, trainer: standard}
      "[cat, dog]": {architecture: {tiny: {width: 9}}}
    """
    recipe = load(minimal(tree="{groups: [[cat, dog], [bird, ship, airplane, 1]]}", nodes=nodes))
    assert specs(recipe)["[cat, dog]"].architecture.width == 9
    assert specs(recipe)["root"].architecture.width == 4


def test_a_restricted_node_has_no_network_of_its_own(load) -> None:
    text = FULL.replace("all: {restrict: flat}", "all: {restrict: flat, architecture: tiny, init: flat}")
    assert problems(load, text) == [
        "x.yaml:10:25 nodes.all.architecture: a node restricted from 'flat' has no architecture of its own; remove one "
        "of the two",
        "x.yaml:10:45 nodes.all.init: a node restricted from 'flat' has no init of its own; remove one of the two",
    ]


def test_a_restricted_node_reads_the_view_of_its_network(load) -> None:
    text = FULL.replace("certifier: {smoothing: {draws: 100_000}}}", "view: lidar}")
    assert specs(load(text))["vehicles"].view == "lidar"
    assert problems(load, text.replace("all: {restrict: flat}", "all: {restrict: flat, view: image}"))[0] == (
        "x.yaml:10:31 nodes.all.view: found 'image'; node 'vehicles' is restricted from 'flat', which reads 'lidar'"
    )


# derived and truncated trees

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


# extends


def test_one_file_is_layered_on_another(load) -> None:
    upper = """\
    extends: base/zoo.yaml
    seed: 9
    networks: {flat: {trainer: {gaussian: {sigma: 0.5}}}}
    certify: {inputs: 4}
    """
    recipe = load(upper, {"base/zoo.yaml": FULL})
    assert (recipe.name, recipe.seed, recipe.certify.inputs, recipe.certify.alpha) == ("x", 9, 4, 0.001)
    assert recipe.document(recipe.networks["flat"].certifier) == {"smoothing": {"sigma": 0.5, "draws": 100_000}}


def test_a_layer_that_renames_a_trainer_drops_its_certifier(load) -> None:
    upper = "extends: base.yaml\nnetworks: {flat: {trainer: {boxed: {eps: 1}}}}\n"
    recipe = load(upper, {"base.yaml": FULL.replace("  living/*: {certifier: {smoothing: {draws: 10}}}\n", "")})
    assert list(recipe.document(recipe.networks["flat"].certifier)) == ["boxes"]


def test_a_layer_can_restrict_what_another_trains_and_replace_a_tree(load) -> None:
    upper = """\
    extends: base.yaml
    tree: {build: {merge: {of: flat}}}
    nodes: {root: {restrict: flat}, living/*: }
    """
    recipe = load(upper.replace(", living/*: ", ""), {"base.yaml": FULL.replace("  living/*:", "  inner:")})
    assert recipe.tree.groups is None
    assert recipe.nodes["root"] == {"restrict": "flat"}


def test_groups_are_replaced_whole_and_a_builder_of_the_same_name_is_amended(load) -> None:
    lower = minimal(tree="{groups: {a: [cat, dog], b: [bird, ship, airplane, 1]}, truncate: {depth: 1}}")
    lower = lower.replace("root:", "all:")
    upper = "extends: base.yaml\ntree: {groups: {c: [cat, bird], d: [dog, ship, airplane, 1]}}\n"
    recipe = load(upper, {"base.yaml": lower})
    assert list(recipe.tree.groups) == ["c", "d"]
    assert recipe.tree.truncate.depth == 1
    derived = minimal(networks="{flat: {architecture: tiny, trainer: standard}}", tree="{build: {merge: {of: flat}}}")
    recipe = load("extends: base.yaml\ntree: {build: merge}\n", {"base.yaml": derived})
    assert recipe.document(recipe.tree.build) == {"merge": {"of": "flat"}}


def test_a_view_that_is_not_named_is_the_threats(load) -> None:
    network = "{flat: {architecture: tiny, trainer: standard}}"
    recipe = load(minimal(networks=network, threat="{norm: l2, view: lidar}"))
    assert (recipe.networks["flat"].view, specs(recipe)["root"].view) == ("lidar", "lidar")


def test_without_a_threat_the_norm_is_linf_and_no_budget_is_named(load) -> None:
    recipe = load("data: {dataset: zoo}\nnodes: {root: {architecture: tiny, trainer: standard}}\n")
    assert (recipe.threat.norm, recipe.threat.budgets) == (LINF, ())
    assert "norm is missing" in problems(load, minimal(threat="{budgets: [1]}"))[0]


def test_a_mistake_in_a_lower_layer_is_told_in_its_file(load) -> None:
    assert problems(load, "extends: base.yaml\nsed: 1\n", others={"base.yaml": FULL.replace("seed", "sede")}) == [
        "base.yaml:2:1 sede: unknown option; did you mean 'seed'?",
        "x.yaml:2:1 sed: unknown option; did you mean 'seed'?",
    ]


def test_files_that_extend_one_another_are_named(load) -> None:
    told = problems(load, "extends: a.yaml\n", others={"a.yaml": "extends: x.yaml\n"})
    assert told == ["a.yaml:1:10 extends: the files extend one another: x.yaml -> a.yaml -> x.yaml"]


def test_a_missing_lower_layer_is_a_data_error(load) -> None:
    assert problems(load, "extends: a.yaml\n", DataError) == [
        "x.yaml:1:10 extends: a.yaml: cannot be read: No such file or directory"
    ]


# plugins of a YAML

MINE = """\
from hiercls.contracts.components import Trainer
from hiercls.contracts.hookspecs import Spec, hookimpl


class Mine(Trainer):
    def fit(self, network, task, context): ...


@hookimpl
def hiercls_components():
    yield Spec("trainer", "mine", f"{__name__}:Mine", "mine")
"""


@pytest.fixture
def fresh(registry: Registry) -> Registry:
    """A registry that may get plugins of its own."""
    found = Registry()
    found.add_path(PLUGIN)
    return found


def with_mine(path: str) -> str:
    return minimal(plugins=f"[{path}]", nodes="{root: {architecture: tiny, trainer: mine}}")


def test_a_yaml_brings_plugins_from_below_its_own_folder(tmp_path: Path, fresh: Registry) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "x.yaml").write_text(with_mine("mine.py"))
    recipe = load_recipe(tmp_path / "x.yaml", fresh)
    assert Path(recipe.plugins[0].path) == (tmp_path / "mine.py").resolve()
    assert len(recipe.plugins[0].sha256) == 64
    assert recipe.document(specs(recipe)["root"].trainer) == {"mine": {}}
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "resolved.yaml").write_text(recipe.resolved())
    assert load_recipe(tmp_path / "runs" / "resolved.yaml", fresh, allow_plugins=True) == recipe


def test_a_plugin_outside_the_folder_is_refused_unless_allowed(tmp_path: Path, fresh: Registry) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    folder = tmp_path / "configs"
    folder.mkdir()
    (folder / "x.yaml").write_text(with_mine("../mine.py"))
    with pytest.raises(ConfigurationError) as told:
        load_recipe(folder / "x.yaml", fresh)
    assert str(told.value).splitlines()[-1] == (
        f"{folder / 'x.yaml'}:4:11 plugins.0: {folder / '../mine.py'} lies outside the folder of its YAML; move it "
        "there, or allow it with --allow-plugins"
    )
    assert load_recipe(folder / "x.yaml", fresh, allow_plugins=True).plugins


def test_a_link_to_a_plugin_outside_the_folder_is_refused(tmp_path: Path, fresh: Registry) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    folder = tmp_path / "configs"
    folder.mkdir()
    (folder / "mine.py").symlink_to(tmp_path / "mine.py")
    (folder / "x.yaml").write_text(with_mine("mine.py"))
    with pytest.raises(ConfigurationError, match="lies outside the folder of its YAML"):
        load_recipe(folder / "x.yaml", fresh)


def test_a_plugin_that_is_not_what_it_was_is_told(tmp_path: Path, fresh: Registry) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "x.yaml").write_text(with_mine("{path: mine.py, sha256: '00'}"))
    with pytest.raises(
        ConfigurationError, match=r"is not what it was: its SHA-256 is \w{64}, and the recipe names 00$"
    ):
        load_recipe(tmp_path / "x.yaml", fresh)


def tattling(folder: Path) -> Path:
    """Write the plugin `mine.py`, which leaves the file `ran` when its code runs; returns that file."""
    (folder / "mine.py").write_text(f"open({str(folder / 'ran')!r}, 'w').close()\n{MINE}")
    return folder / "ran"


def test_a_plugin_that_is_not_what_it_was_is_not_run(tmp_path: Path, fresh: Registry) -> None:
    ran = tattling(tmp_path)
    (tmp_path / "x.yaml").write_text(with_mine("{path: mine.py, sha256: '00'}"))
    with pytest.raises(ConfigurationError, match="is not what it was"):
        load_recipe(tmp_path / "x.yaml", fresh)
    with pytest.raises(ConfigurationError, match="is not what it was"):
        add_plugins_of(tmp_path / "x.yaml", fresh, allowed=True)
    assert not ran.exists()
    (tmp_path / "x.yaml").write_text(with_mine(f"{{path: mine.py, sha256: {sha256_of(tmp_path / 'mine.py')}}}"))
    load_recipe(tmp_path / "x.yaml", fresh)
    assert ran.exists()


def test_compiled_code_beside_a_plugin_is_not_run(tmp_path: Path, fresh: Registry) -> None:
    ran = tattling(tmp_path)
    compiled = py_compile.compile(
        str(tmp_path / "mine.py"), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
    assert compiled is not None
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "x.yaml").write_text(with_mine("mine.py"))
    assert load_recipe(tmp_path / "x.yaml", fresh).plugins
    assert not ran.exists()


@pytest.mark.parametrize("written", ["{path}", "{{path: {path}}}", "{{path: {path}, sha256: }}"])
def test_a_run_folder_runs_no_plugin_without_its_hash(tmp_path: Path, fresh: Registry, written: str) -> None:
    ran = tattling(tmp_path)
    run = tmp_path / "run"
    run.mkdir()
    resolved = run / "recipe.resolved.yaml"
    resolved.write_text(with_mine(written.format(path=tmp_path / "mine.py")))
    with pytest.raises(ConfigurationError, match=r"has no sha256 in .*; pass the original YAML instead of the run"):
        load_recipe(resolved, fresh, allow_plugins=True)
    with pytest.raises(ConfigurationError, match="has no sha256"):
        add_plugins_of(resolved, fresh, allowed=True)
    assert not ran.exists()
    hashed = f"{{path: {tmp_path / 'mine.py'}, sha256: {sha256_of(tmp_path / 'mine.py')}}}"
    resolved.write_text(with_mine(hashed))
    assert load_recipe(resolved, fresh, allow_plugins=True).plugins


def test_a_broken_plugin_that_a_yaml_names_is_a_plugin_error(tmp_path: Path, fresh: Registry) -> None:
    (tmp_path / "mine.py").write_text("import a_module_that_is_not_there")
    (tmp_path / "x.yaml").write_text(with_mine("mine.py"))
    with pytest.raises(PluginError) as told:
        load_recipe(tmp_path / "x.yaml", fresh)
    assert "plugins.0: plugin" in str(told.value)
    assert "ModuleNotFoundError: No module named 'a_module_that_is_not_there'" in str(told.value)


def test_a_missing_plugin_file_is_a_data_error_beside_which_nothing_is_wrong(tmp_path: Path, fresh: Registry) -> None:
    (tmp_path / "x.yaml").write_text(minimal(plugins="[mine.py]"))
    with pytest.raises(DataError, match=r"x.yaml:4:11 plugins.0: .*mine.py: no such file$"):
        load_recipe(tmp_path / "x.yaml", fresh)


# torch and the schema


@pytest.mark.parametrize("text", [FULL, FULL.replace("seed", "sede")])
def test_reading_a_recipe_imports_no_torch(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    code = f"""
import sys
from pathlib import Path
from hiercls.wiring.recipe import load_recipe
from hiercls.wiring.registry import Registry
from hiercls.words.errors import ConfigurationError
registry = Registry()
registry.add_path(Path({str(PLUGIN)!r}))
try:
    load_recipe(Path({str(tmp_path / "x.yaml")!r}), registry).resolved()
except ConfigurationError:
    pass
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_schema_names_every_component_and_its_options(registry: Registry) -> None:
    schema = json_schema(registry)
    definitions = schema["$defs"]
    assert definitions["Trainer"]["anyOf"][0]["enum"] == ["boxed", "gaussian", "standard"]
    assert definitions["Certifier"]["anyOf"][0]["enum"] == ["boxes", "smoothing", "none"]
    assert set(definitions["trainer gaussian"]["properties"]) == {"schedule", "sigma"}
    assert schema["required"] == ["data"]
    assert schema["properties"]["nodes"]["additionalProperties"] == {"$ref": "#/$defs/NodeSpec"}
    assert definitions["trainer gaussian"]["properties"]["sigma"]["type"] == ["number", "string"]


def test_every_reference_of_the_schema_leads_somewhere(registry: Registry) -> None:
    schema = json_schema(registry)

    def references(part: Any) -> set[str]:
        if isinstance(part, list):
            return set().union(*map(references, part))
        if isinstance(part, dict):
            own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
            return own.union(*map(references, part.values()))
        return set()

    assert references(schema) == {f"#/$defs/{name}" for name in json.loads(json.dumps(schema))["$defs"]}
