"""The mistakes of a recipe: all told at once, each in one clear message with its place."""

from pathlib import Path

import pytest
from recipe_toys import FULL, GROUPS, minimal, problems, specs, zoo, zoo_loader

from hiercls.wiring.recipe import load_recipe
from hiercls.wiring.registry import Registry
from hiercls.words.errors import DataError

load = zoo_loader


@pytest.fixture(scope="module")
def registry() -> Registry:
    return zoo()


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
