"""Recipes that extend other recipes: what is merged, what is replaced, and whose mistake it is."""

from recipe_toys import FULL, minimal, problems, zoo_loader

from hiercls.words.errors import DataError

load = zoo_loader


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
