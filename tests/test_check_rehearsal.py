"""What only a deployed network can tell, told before training: operations, shapes, starts and metrics."""

import subprocess
import sys
from pathlib import Path

import pytest
from check_toys import call, node, shape_loader, told

from hiercls.verbs.rehearse import rehearse
from hiercls.words.errors import HierclsError

load = shape_loader


def test_an_operation_without_a_rule_is_named_with_its_place_and_its_network(load) -> None:
    networks = "{flat: {architecture: {shape: {kind: gelu}}, trainer: {fit: {suggests: ibp}}}}"
    recipe = load(
        f"{{all: {node('')}, high: {node('', 'ibp', 'gelu')}, low: {node('', 'none', 'gelu')}}}",
        networks=networks,
        baseline="flat",
    )
    why = "bounds: no rule for GELU at '2'; it cannot be bounded"
    assert told(rehearse, recipe, error=HierclsError) == [f"node high: {why}", f"network 'flat': {why}"]


def test_a_network_that_a_derived_tree_needs_is_deployed_too(load) -> None:
    networks = "{flat: {architecture: {shape: {kind: gelu}}, trainer: {fit: {suggests: ibp}}}}"
    recipe = load("{all: {restrict: flat}}", networks=networks, tree="{build: {agglomerative: {of: flat}}}")
    assert told(rehearse, recipe, error=HierclsError) == [
        "network 'flat': bounds: no rule for GELU at '2'; it cannot be bounded"
    ]


def test_an_architecture_that_does_not_take_its_view_is_told(load) -> None:
    recipe = load(f"{{all: {node('')}, high: {node('', kind='narrow')}, low: {node('', kind='extra')}}}")
    narrow, extra = sorted(told(rehearse, recipe), reverse=True)[::-1]
    assert narrow.startswith("node high: its architecture does not take inputs of shape (1, 8, 8) on 'image': mat1 and")
    assert extra == ("node low: its architecture gives (2, 3) for 2 inputs of shape (1, 8, 8) on 'image', not (2, 2)")


def test_an_architecture_that_cannot_be_built_is_told_once(load) -> None:
    recipe = load(f"{{all: {node('', kind='dead')}}}", tree="")
    what = "its architecture does not take inputs of shape (1, 8, 8) on 'image'"
    assert told(rehearse, recipe) == [f"node root: {what}: a kernel larger than its input"]


def test_a_network_to_start_from_has_the_same_architecture_but_for_its_outputs(load) -> None:
    networks = "{flat: {architecture: {shape: {kind: gelu}}, trainer: {fit: {}}}}"
    start = node("", "none", "gelu").replace("}, certifier", "}, init: flat, certifier")
    rehearse(load(f"{{all: {start}}}", networks=networks))
    wide = f"{start.replace('gelu', 'wide')}, high: {start.replace('gelu', 'plain')}"
    assert told(rehearse, load(f"{{all: {start}, root: {wide}}}", networks=networks)) == [
        "init: 'node root' cannot start from 'flat': "
        "1.weight has shape (8, 64) there and shape (9, 64) here; use its architecture",
        "init: 'node high' cannot start from 'flat': "
        "1.weight has shape (8, 64) there and shape (5, 64) here; use its architecture",
    ]


def test_a_layer_that_the_network_to_start_from_lacks_is_told(load) -> None:
    networks = "{flat: {architecture: {shape: {kind: plain}}, trainer: {fit: {}}}}"
    start = node("", "none", "gelu").replace("}, certifier", "}, init: flat, certifier")
    assert told(rehearse, load(f"{{all: {start}}}", networks=networks, tree="")) == [
        "init: 'node root' cannot start from 'flat': "
        "1.weight has shape (10, 64) there and shape (8, 64) here; use its architecture"
    ]


def test_a_metric_that_does_not_fit_the_labels_is_told(load) -> None:
    recipe = load(f"{{all: {node('')}}}", metrics='[{verified-error: {groups: [["0"], ["1", "2"]]}}]')
    assert told(rehearse, recipe) == [
        "metrics: verified-error.groups: '3' is in no group; every label is in exactly one"
    ]


def test_mistakes_of_several_kinds_are_told_together(load) -> None:
    recipe = load(f"{{all: {node('')}, high: {node('', kind='narrow')}, low: {node('', 'ibp', 'gelu')}}}")
    assert [line.partition(":")[0] for line in told(rehearse, recipe)] == ["node high", "node low"]


def test_check_rehearses_unless_it_is_to_be_quick(load, capsys: pytest.CaptureFixture[str]) -> None:
    load(f"{{all: {node('', 'ibp', 'gelu')}}}", tree="")
    why = "node root: bounds: no rule for GELU at '2'; it cannot be bounded\n"
    assert call(capsys, "check", "x.yaml") == (2, "", why)
    assert call(capsys, "check", "x.yaml", "--quick")[0] == 0
    load(f"{{all: {node('')}}}", tree="")
    assert call(capsys, "check", "x.yaml")[0] == 0
    assert not Path("runs").exists()


def test_a_quick_check_imports_no_torch(load) -> None:
    load(f"{{all: {node('')}}}")
    program = (
        "import sys\nfrom hiercls.cli.main import main\n"
        "try:\n    main(['check', 'x.yaml', '--quick'])\nexcept SystemExit as ended:\n    assert not ended.code\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
