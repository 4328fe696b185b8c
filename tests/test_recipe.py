"""What is written in a recipe arrives, what is not has a default, and all of it reads back equal."""

import subprocess
import sys
from pathlib import Path

import pytest
from recipe_toys import FULL, PLUGIN, minimal, problems, specs, zoo_loader

from hiercls.words.norms import L2, LINF, Norm
from hiercls.words.threats import Domain

load = zoo_loader


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


def test_a_view_that_is_not_named_is_the_threats(load) -> None:
    network = "{flat: {architecture: tiny, trainer: standard}}"
    recipe = load(minimal(networks=network, threat="{norm: l2, view: lidar}"))
    assert (recipe.networks["flat"].view, specs(recipe)["root"].view) == ("lidar", "lidar")


def test_without_a_threat_the_norm_is_linf_and_no_budget_is_named(load) -> None:
    recipe = load("data: {dataset: zoo}\nnodes: {root: {architecture: tiny, trainer: standard}}\n")
    assert (recipe.threat.norm, recipe.threat.budgets) == (LINF, ())
    assert "norm is missing" in problems(load, minimal(threat="{budgets: [1]}"))[0]


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
