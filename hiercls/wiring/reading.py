"""The steps from merged layers to a recipe: build what can be built, then check how it fits together."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hiercls.contracts.components import Dataset
from hiercls.values.labels import LabelTree, flat_tree
from hiercls.values.truncation import truncate_depth, truncate_equal
from hiercls.wiring.building import FAILED, Builder
from hiercls.wiring.checks import (
    check_baseline,
    check_budgets,
    check_dataset,
    check_networks,
    check_refusals,
    check_trainers,
    check_tree_needs,
    check_tree_threat,
)
from hiercls.wiring.composing import check_composed, composes, only_composed
from hiercls.wiring.contents import Recipe
from hiercls.wiring.groups import label_set, written_tree
from hiercls.wiring.layers import Layers
from hiercls.wiring.local_plugins import load_plugins
from hiercls.wiring.nodes import NodeReading, with_suggestion
from hiercls.wiring.problems import Problems
from hiercls.wiring.specs import TreeSpec
from hiercls.wiring.yaml_source import Located, Mark, located
from hiercls.words.errors import DataError
from hiercls.words.threats import Threat

DEFAULT_ATTACK = "pgd"
Labels = tuple[str, ...] | None


@dataclass(frozen=True)
class Reading:
    """One reading of one YAML; `builder.problems` holds everything that is wrong with it."""

    path: Path
    layers: Layers
    builder: Builder
    allow_plugins: bool
    root: Path | None

    @property
    def problems(self) -> Problems:
        return self.builder.problems

    def recipe(self) -> Recipe:
        """The recipe, or everything that is wrong with it, raised at once."""
        document = self._completed(self._with_plugins(self.layers.document))
        values = self.builder.values(Recipe, document)
        threat = values.get("threat", Threat())
        values["networks"] = _with_views(values.get("networks", {}), threat)
        labels, data_error = self._labels(values)
        nodes = self._nodes(document, values)
        self._check(document, values, labels, nodes)
        recipe = self.builder.finished(Recipe, document, values)
        self.problems.settle()
        if data_error is not None:
            raise data_error
        assert isinstance(recipe, Recipe)
        assert labels is not None
        recipe._source, recipe._labels, recipe._reading = self.path, labels, nodes
        return recipe

    def _with_plugins(self, document: Located) -> Located:
        """The document that tells where the plugins of all layers are, and their hashes."""
        plugins = load_plugins(self.layers, self.builder.registry, self.allow_plugins, self.problems)
        return document.with_item("plugins", located(plugins, document.mark, ("plugins",)))

    def _completed(self, document: Located) -> Located:
        """The document with what is derived from other entries: names, the audit's attack, suggested certifiers."""
        if "name" not in document:
            document = document.with_item("name", located(self.path.stem, Mark(str(self.path)), ("name",)))
        audit = document.get("audit") or Located({}, document.mark, ("audit",))
        if isinstance(audit.value, dict) and "attack" not in audit:
            attack = located(DEFAULT_ATTACK, audit.mark, ("audit", "attack"))
            document = document.with_item("audit", audit.with_item("attack", attack))
        networks = document.get("networks")
        if networks is not None:
            completed = {name: self._network(entry) for name, entry in networks.items.items()}
            document = document.with_item("networks", networks.with_items(completed) if completed else networks)
        return _with_label_names(document)

    def _network(self, entry: Located) -> Located:
        return only_composed(entry, self.problems) if composes(entry) else with_suggestion(entry, self.builder)

    def _labels(self, values: Mapping[str, Any]) -> tuple[Labels, DataError | None]:
        dataset = _dataset(values)
        try:
            return (None if dataset is None else dataset.labels(self.root)), None
        except DataError as error:
            return None, error

    def _nodes(self, document: Located, values: Mapping[str, Any]) -> NodeReading:
        dataset, threat = _dataset(values), values.get("threat", Threat())
        nodes = document.get("nodes") or Located({}, document.mark, ("nodes",))
        networks = document["networks"].items if "networks" in document else {}
        views = None if dataset is None else tuple(dataset.views())
        known = Threat() if threat is FAILED else threat
        return NodeReading(nodes, networks, known, views, self.builder.registry, self.builder.names)

    def _check(self, document: Located, values: Mapping[str, Any], labels: Labels, nodes: NodeReading) -> None:
        if (dataset := _dataset(values)) is not None:
            check_dataset(dataset, document, values, self.problems)
        check_budgets(document, values.get("threat", Threat()), self.problems)
        check_networks(nodes.networks, self.problems)
        check_baseline(document.get("baseline"), nodes.networks, self.problems)
        check_refusals(document, values, self.builder)
        check_composed(document, values["networks"], self.builder)
        tree = values.get("tree", TreeSpec())
        check_tree_needs(tree, document, nodes.networks, self.problems)
        check_tree_threat(tree, document, values.get("threat", Threat()), self.builder)
        nodes.check_entries(self.problems)
        if labels is None:
            return
        for source in document.at(("report", "affinity")).items.values() if "report" in document else ():
            label_set(source, labels, self.problems)
        full = self._full_tree(document, tree, labels)
        if full is not None and nodes.well_formed and values.get("threat") is not FAILED:
            self._check_nodes(full, tree, nodes)
        check_trainers(document, values["networks"], len(labels), self.builder)

    def _full_tree(self, document: Located, tree: Any, labels: tuple[str, ...]) -> LabelTree | None:
        """The tree before truncation; None for a derived one or one that something is wrong with."""
        groups = document["tree"].get("groups") if "tree" in document else None
        given = None if groups is None else written_tree(labels, groups, self.problems)
        if not isinstance(tree, TreeSpec) or tree.build is not None:
            return None
        tree._given = given
        return given if groups is not None else flat_tree(labels)

    def _check_nodes(self, full: LabelTree, tree: TreeSpec, nodes: NodeReading) -> None:
        cut = tree.truncate
        kept = full if cut is None or cut.depth is None else truncate_depth(full, cut.depth)
        specs = nodes.specs(kept, True, self.problems)
        if cut is not None and cut.criterion is not None:
            if specs.keys() != set(full.decisions):
                return
            kept = truncate_equal(full, lambda node: specs[node].criterion())
            specs = nodes.specs(kept, False, self.problems)
        nodes.check_trainers(kept, specs, self.problems)


def _with_label_names(document: Located) -> Located:
    """Groups and affinity sets hold labels, which are names even where they look like numbers."""
    for section, key in (("tree", "groups"), ("report", "affinity")):
        held = document.get(section)
        if held is not None and key in held and not held[key].empty:
            document = document.with_item(section, held.with_item(key, held[key].as_names()))
    return document


def _with_views(networks: Any, threat: Any) -> Any:
    """Networks that name no view read the threat's."""
    if not isinstance(networks, dict) or threat is FAILED:
        return networks
    return {
        name: spec if spec is FAILED else spec.model_copy(update={"view": spec.view or threat.view})
        for name, spec in networks.items()
    }


def _dataset(values: Mapping[str, Any]) -> Dataset | None:
    return getattr(values.get("data"), "dataset", None)
