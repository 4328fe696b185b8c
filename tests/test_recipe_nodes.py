"""What the entries of a recipe ask of each node: which of them speak of it, and how they merge."""

from recipe_toys import FULL, GROUPS, minimal, problems, specs, zoo_loader

load = zoo_loader


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


# restricted nodes


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
