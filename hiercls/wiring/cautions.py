"""What a user should know of a recipe in which nothing is wrong, one sentence each."""

from collections.abc import Iterator

from hiercls.contracts.components import Trainer
from hiercls.values.labels import LabelTree
from hiercls.wiring.contents import Recipe
from hiercls.wiring.problems import listed
from hiercls.wiring.selectors import path_name
from hiercls.wiring.specs import ComposedSpec, NetworkSpec, NodeSpec

Strength = tuple[float | None, str]
"""The budget that a node is trained for, None where it is robust in another sense, and the same in words."""


def cautions(recipe: Recipe, tree: LabelTree | None) -> tuple[str, ...]:
    """All that is known without training.

    Args:
        tree: the label tree; None while a derived one does not exist yet.
    """
    weak = () if tree is None else weaker_parents(recipe, tree)
    return (*weak, *of_trainers(recipe, tree), *affinity_gaps(recipe))


def weaker_parents(recipe: Recipe, tree: LabelTree) -> Iterator[str]:
    """Every pair of nodes of which the lower one is asked for more than the upper one holds.

    A certificate of an answer reaches no further than the weakest node on its path: a parent is at least as robust as
    its children (Wang et al. 2021). A node on a view out of reach cannot be moved, and its parent stands in its place.
    """
    specs = recipe.node_specs(tree)
    reached = {node: spec for node, spec in specs.items() if recipe.threat.reaches(spec.view)}
    for node, spec in reached.items():
        above = next((each for each in reversed(tree.path(node)[:-1]) if each in reached), None)
        if above is None:
            continue
        (held, parent), (asked, child) = _held(recipe, reached[above]), _asked(_trainer(recipe, spec))
        if _less(held, asked):
            pair = f"parent {path_name(tree, above)!r} ({parent}) is less robust than its child"
            end = "the guarantee of an answer ends at the weakest node on its path"
            yield f"{pair} {path_name(tree, node)!r} ({child}): {end}"


def _less(held: float | None, asked: float | None) -> bool:
    """Whether less is held than is asked; robustness that names no budget is more than none, and no more is known."""
    if held is None:
        return False
    return held == 0 if asked is None else held < asked


def _held(recipe: Recipe, spec: NodeSpec) -> Strength:
    return (0.0, "not certified") if spec.certifier is None else _asked(_trainer(recipe, spec))


def _asked(trainer: Trainer) -> Strength:
    budget = trainer.budget()
    if budget is not None:
        return budget, f"eps {budget:g}"
    return (0.0, "not trained to be robust") if trainer.certifier() is None else (None, "trained to be robust")


def _trainer(recipe: Recipe, spec: NodeSpec) -> Trainer:
    network = spec if spec.restrict is None else recipe.networks[spec.restrict]
    assert not isinstance(network, ComposedSpec)
    assert network.trainer is not None
    return network.trainer


def of_trainers(recipe: Recipe, tree: LabelTree | None) -> Iterator[str]:
    """What the trainers themselves say, each sentence once, after the places where it holds."""
    places: dict[str, list[str]] = {}
    for place, trainer in _trained(recipe, tree):
        for sentence in trainer.warnings():
            places.setdefault(sentence, []).append(f"{place}.trainer")
    for sentence, named in places.items():
        yield f"{listed(named)}: {sentence}"


def _trained(recipe: Recipe, tree: LabelTree | None) -> Iterator[tuple[str, Trainer]]:
    for name, network in recipe.networks.items():
        if isinstance(network, NetworkSpec):
            yield f"networks.{name}", network.trainer
    if tree is None:
        return
    for node, spec in recipe.node_specs(tree).items():
        if spec.trainer is not None:
            yield f"nodes.{path_name(tree, node)}", spec.trainer


def affinity_gaps(recipe: Recipe) -> Iterator[str]:
    """The labels that no affinity set holds: an answer of theirs is in none."""
    named = {label for members in recipe.report.affinity.values() for label in members}
    missing = [repr(label) for label in recipe.labels if label not in named]
    if named and missing:
        yield f"report.affinity: no set holds {listed(missing)}; such an answer counts as one that leaves its set"
