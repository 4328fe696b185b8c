"""What a user is told before training: parents weaker than children, units, gaps, and what a certifier cannot do."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hiercls.cli.main import main
from hiercls.values.labels import LabelTree
from hiercls.verbs.rehearse import rehearse
from hiercls.wiring.cautions import cautions
from hiercls.wiring.recipe import Recipe, load_recipe
from hiercls.wiring.registry import Registry
from hiercls.words.errors import ConfigurationError, HierclsError
from hiercls.words.threats import EVERYWHERE, Domain

TREE = '{low: {less: ["0", "1", "2"], more: ["3", "4"]}, high: ["5", "6", "7", "8", "9"]}'
END = "the guarantee of an answer ends at the weakest node on its path"

SHAPES = """
from hiercls.contracts.components import Architecture, Certifier, Trainer
from hiercls.contracts.hookspecs import Spec, hookimpl
from hiercls.words.norms import L2


class Shape(Architecture):
    kind: str

    def build(self, shape, outputs):
        from torch import nn

        if self.kind == "dead":
            raise RuntimeError("a kernel larger than its input")
        layers = {
            "wide": [nn.Flatten(), nn.Linear(64, 9), nn.Linear(9, outputs)],
            "gelu": [nn.Flatten(), nn.Linear(64, 8), nn.GELU(), nn.Linear(8, outputs)],
            "narrow": [nn.Flatten(), nn.Linear(7, outputs)],
            "extra": [nn.Flatten(), nn.Linear(64, outputs + 1)],
            "plain": [nn.Flatten(), nn.Linear(64, outputs)],
        }
        return nn.Sequential(*layers[self.kind])


class Fit(Trainer):
    eps: float | None = None
    suggests: str = ""
    refuses: str = ""
    warns: str = ""

    def refusal(self, parts):
        return self.refuses or None

    def warnings(self):
        return (self.warns,) if self.warns else ()

    def fit(self, network, task, context):
        raise AssertionError("a check trains nothing")

    def budget(self):
        return self.eps

    def certifier(self):
        return {self.suggests: {}} if self.suggests else None


class Lipschitz(Certifier):
    norm = L2

    def deploy(self, network, heads, view, context):
        raise AssertionError("deployed")


@hookimpl
def hiercls_components():
    yield Spec("architecture", "shape", f"{__name__}:Shape", "some layers")
    yield Spec("trainer", "fit", f"{__name__}:Fit", "nothing")
    yield Spec("certifier", "lipschitz", f"{__name__}:Lipschitz", "another norm")
"""


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shapes.py").write_text(SHAPES)

    def write_and_load(nodes: str, **sections: str) -> Recipe:
        given = {
            "plugins": "[shapes.py]",
            "data": "{dataset: digits}",
            "threat": "{norm: linf, budgets: [0.1]}",
            "tree": f"{{groups: {TREE}}}",
            "nodes": nodes,
        } | sections
        (tmp_path / "x.yaml").write_text("".join(f"{key}: {text}\n" for key, text in given.items() if text))
        return load_recipe(Path("x.yaml"), Registry.load())

    return write_and_load


def node(trainer: str, certifier: str = "ibp", kind: str = "plain") -> str:
    return f"{{architecture: {{shape: {{kind: {kind}}}}}, trainer: {{fit: {{{trainer}}}}}, certifier: {certifier}}}"


def warned(recipe: Recipe, tree: LabelTree | None = None) -> tuple[str, ...]:
    return cautions(recipe, tree or recipe.written_tree())


def told(work, *arguments, error: type[HierclsError] = ConfigurationError, **options) -> list[str]:
    with pytest.raises(error) as raised:
        work(*arguments, **options)
    assert type(raised.value) is error
    return str(raised.value).splitlines()


# a parent is at least as robust as its children


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


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


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


# what trainers and certifiers say of themselves


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


# what cannot be trained or grown

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


# units


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


# labels


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


# what only a deployed network can tell


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
