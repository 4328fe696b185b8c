"""What trainers, certifiers and builders say before training: their warnings, and what they cannot do."""

import json

import pytest
from check_toys import TREE, call, node, shape_loader, told, warned

from hiercls.wiring.cautions import cautions

load = shape_loader


def test_a_trainer_is_quoted_once_after_every_place_where_it_stands(load) -> None:
    networks = "{flat: {architecture: {shape: {kind: plain}}, trainer: {fit: {warns: it rains}}}}"
    recipe = load(f"{{all: {node('')}, low: {node('warns: it rains')}}}", networks=networks)
    assert warned(recipe) == ("networks.flat.trainer, nodes.low.trainer: it rains",)
    assert cautions(recipe, None) == ("networks.flat.trainer: it rains",)


def test_a_decay_after_the_end_and_an_average_inside_the_ramp_are_warned_of(load) -> None:
    def said(schedule: str) -> tuple[str, ...]:
        return warned(load(f"{{all: {ibp(schedule)}}}", tree=""))

    assert said("epochs: 60, average: 21") == ()
    assert said("epochs: 30, decay: cosine") == ()
    assert said("epochs: 50") == (
        "nodes.root.trainer: schedule.decay: training ends after 50 epochs, before the default decay at 52; "
        "write one that comes earlier",
    )
    assert said("epochs: 30, decay: {at: [20, 30, 40]}, average: 20") == (
        "nodes.root.trainer: schedule.decay: training ends after 30 epochs, before the decay at 30 and 40; "
        "write one that comes earlier",
        "nodes.root.trainer: schedule.average: weights are averaged from epoch 20 on, before the ramp ends at 21; "
        "the first of them serve smaller budgets",
    )


def ibp(schedule: str) -> str:
    return f"{{architecture: {{shape: {{kind: plain}}}}, trainer: {{ibp: {{eps: 0.1, schedule: {{{schedule}}}}}}}}}"


def test_a_budget_that_no_bound_is_tested_at_is_warned_of(load, capsys: pytest.CaptureFixture[str]) -> None:
    load(f"{{all: {node('', '{ibp: {largest: 0.1}}')}}}", threat="{norm: linf, budgets: [0.1, 0.2]}")
    code, out, _ = call(capsys, "check", "x.yaml", "--json")
    assert (code, json.loads(out)["warnings"]) == (
        0,
        [
            "threat.budgets: 0.2 is above `largest` (0.1) of a certifier by bounds, which looks for no larger radius "
            "and proves nothing there; raise `largest`"
        ],
    )


FLAT_ALONE = "'igrp' trains a flat network, with one output a label of the tree; name it under networks"
IGRP = "{architecture: {shape: {kind: plain}}, trainer: {igrp: {eps: 0.1}}}"


def test_a_trainer_of_flat_networks_is_refused_at_every_node_of_some_labels(load) -> None:
    groups = '{low: ["0", "1", "2"], high: ["3", "4", "5", "6", "7", "8", "9"]}'
    assert told(load, f"{{root: {IGRP}, low: {IGRP}, high: {node('')}}}", tree=f"{{groups: {groups}}}") == [
        f"x.yaml:5:63 nodes.root.trainer: {FLAT_ALONE}",
        f"x.yaml:5:137 nodes.low.trainer: {FLAT_ALONE}",
    ]


def test_a_trainer_of_flat_networks_may_stand_at_the_root_of_a_flat_tree(load) -> None:
    load(f"{{all: {IGRP}}}", tree="", networks=f"{{flat: {IGRP}}}")
    load(f"{{all: {IGRP}}}", tree=f"{{groups: {TREE}, truncate: {{criterion: equal}}}}")
    load(f"{{all: {IGRP}}}", tree=f"{{groups: {TREE}, truncate: {{depth: 0}}}}")


def test_a_refusal_of_a_trainer_is_told_at_its_place(load) -> None:
    networks = "{flat: {architecture: {shape: {kind: plain}}, trainer: {fit: {refuses: is tired}}}}"
    assert told(load, f"{{all: {node('')}, high: {node('refuses: sleeps')}}}", networks=networks) == [
        "x.yaml:5:144 nodes.high.trainer: 'fit' sleeps",
        "x.yaml:6:66 networks.flat.trainer: 'fit' is tired",
    ]


def test_a_builder_that_needs_budgets_is_refused_before_its_network_is_trained(load) -> None:
    networks = "{flat: {architecture: {shape: {kind: plain}}, trainer: {fit: {suggests: ibp}}}}"
    written = {"networks": networks, "threat": "{norm: linf}"}
    assert told(load, "{all: {restrict: flat}}", tree="{build: {certified-gain: {of: flat}}}", **written) == [
        "x.yaml:4:15 tree.build: 'certified-gain' needs budgets; name them in the threat, or as its `budgets`"
    ]
    load("{all: {restrict: flat}}", tree="{build: {certified-gain: {of: flat, budgets: [0.1]}}}", **written)
