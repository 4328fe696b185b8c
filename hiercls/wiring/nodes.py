"""What decides at each node: the selectors of `nodes:` resolved on a tree."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from hiercls.contracts.components import Certifier, Component, Trainer, misfit
from hiercls.values.labels import LabelTree, Node
from hiercls.wiring.building import FAILED, NONE, Builder
from hiercls.wiring.composing import composes, tell_circle, tell_views, tell_weightless
from hiercls.wiring.merging import SLOTS, amend_component
from hiercls.wiring.problems import Problems, suggestion
from hiercls.wiring.registry import Registry
from hiercls.wiring.selectors import path_name, select, tell_own_network, unmatched
from hiercls.wiring.specs import NodeSpec
from hiercls.wiring.yaml_source import Located, located
from hiercls.words.norms import LINF
from hiercls.words.threats import Threat


@dataclass(frozen=True)
class NodeReading:
    """The entries of `nodes:` and what they may speak of.

    Attributes:
        nodes: the entries, weakest and strongest alike.
        networks: the entry of each named network, its certifier completed by its trainer's suggestion.
        views: those of the dataset; None while it is unknown.
        names: under which name each component class was found; shared with the recipe.
    """

    nodes: Located
    networks: Mapping[str, Located]
    threat: Threat
    views: Collection[str] | None
    registry: Registry
    names: dict[type[Component], str]

    def settled(self, tree: LabelTree, every: bool) -> dict[Node, NodeSpec]:
        """What decides at each node, or everything that is wrong, raised at once."""
        problems = Problems()
        specs = self.specs(tree, every, problems)
        problems.settle()
        return specs

    def specs(self, tree: LabelTree, every: bool, problems: Problems) -> dict[Node, NodeSpec]:
        """What decides at each node that nothing is wrong with."""
        if every:
            unmatched(tree, self.nodes, problems)
        builder = Builder(self.registry, problems, self.names)
        entries = select(tree, self.nodes, problems)
        found = {node: self._spec(path_name(tree, node), entry, builder) for node, entry in entries.items()}
        specs = {node: spec for node, spec in found.items() if isinstance(spec, NodeSpec)}
        tell_views(self.networks, self.threat.view, tree, specs, problems)
        return specs

    def check_trainers(self, tree: LabelTree, specs: Mapping[Node, NodeSpec], problems: Problems) -> None:
        """Tell the trainers that cannot fit the children of their nodes, on the tree as it is cut."""
        entries = select(tree, self.nodes, problems)
        for node, spec in specs.items():
            if spec.trainer is not None and (why := misfit(spec.trainer, tree.children(node), len(tree.labels))):
                problems.add(entries[node]["trainer"], f"{self.names[type(spec.trainer)]!r} {why}")

    @property
    def well_formed(self) -> bool:
        """Whether every entry is a mapping, so that entries can be merged."""
        return all(isinstance(entry.value, dict) for entry in self.nodes.items.values())

    def check_entries(self, problems: Problems) -> None:
        """Tell what is wrong with entries on their own, whatever the tree will be."""
        builder = Builder(self.registry, problems, self.names)
        for entry in self.nodes.items.values():
            if not isinstance(entry.value, dict):
                problems.add(entry, f"found {entry.plain()!r}; write a mapping of {', '.join(NodeSpec.model_fields)}")
                continue
            for key, item in entry.items.items():
                if key not in NodeSpec.model_fields:
                    problems.at_key(item, f"unknown option; {suggestion(key, NodeSpec.model_fields)}")
                elif key in SLOTS and not item.empty and (SLOTS[key], item.value) != ("certifier", NONE):
                    builder.component(SLOTS[key], item, partial=True)
            self._check_names(entry, problems)
            if "restrict" in entry:
                tell_own_network(entry["restrict"], entry, problems)

    def _check_names(self, entry: Located, problems: Problems) -> None:
        for key in ("restrict", "init"):
            named(entry.get(key), self.networks, problems)
        tell_circle(entry.get("restrict"), f"nodes.{entry.path[-1]}", self.networks, problems)
        tell_weightless(entry.get("init"), self.networks, problems)
        viewed(entry.get("view"), self.views, problems)

    def _spec(self, path: str, entry: Located, builder: Builder) -> object:
        known = entry.with_items({key: item for key, item in entry.items.items() if key in NodeSpec.model_fields})
        if "restrict" in known:
            return self._restricted(path, known, builder)
        if missing := [key for key in ("architecture", "trainer") if key not in known]:
            builder.problems.add(
                entry, f"node {path!r} has no {' and no '.join(missing)}; write both, or `restrict: network`"
            )
            return FAILED
        viewed_entry = self._with_view(known, self.threat.view)
        return self._finished(with_suggestion(viewed_entry, builder), builder)

    def _restricted(self, path: str, entry: Located, builder: Builder) -> object:
        network = self.networks.get(entry["restrict"].text)
        if network is not None and composes(network):
            return FAILED  # told where it is written
        if network is None:
            named(entry["restrict"], self.networks, builder.problems)
            return FAILED
        view = network["view"].text if "view" in network else self.threat.view
        if "view" in entry and entry["view"].text != view:
            builder.problems.add(
                entry["view"],
                f"found {entry['view'].plain()!r}; node {path!r} is restricted from "
                f"{entry['restrict'].text!r}, which reads {view!r}",
            )
        return self._finished(self._with_view(_inherited(entry, network), view), builder)

    def _with_view(self, entry: Located, view: str) -> Located:
        return entry if "view" in entry else entry.with_item("view", located(view, entry.mark, (*entry.path, "view")))

    def _finished(self, entry: Located, builder: Builder) -> object:
        spec = builder.section(NodeSpec, entry)
        if isinstance(spec, NodeSpec):
            refused(spec.certifier, spec.view, entry, self.threat, builder)
            overtrained(spec.trainer, spec.certifier, entry, self.threat, builder)
        return spec


def with_suggestion(entry: Located, builder: Builder) -> Located:
    """A network or node whose certifier is what its trainer suggests, amended by what it says itself."""
    written = entry.get("certifier")
    trainer = builder.component("trainer", entry["trainer"]) if "trainer" in entry else FAILED
    if trainer is FAILED:
        if written is not None and not written.empty and written.value != NONE:
            builder.component("certifier", written, partial=True)
        return entry.without("certifier")
    suggested = trainer.certifier()
    if suggested is None:
        return entry
    source = located(suggested, entry["trainer"].mark, (*entry.path, "certifier"))
    return entry.with_item("certifier", _amended(source, written))


def named(source: Located | None, networks: Collection[str], problems: Problems) -> None:
    """Tell a name that no network has."""
    if source is not None and isinstance(source.value, str) and source.value not in networks:
        problems.add(source, f"no network is named {source.value!r}; {suggestion(source.value, networks, 'named')}")


def viewed(source: Located | None, views: Collection[str] | None, problems: Problems) -> None:
    """Tell a view that the dataset does not have."""
    if views is None or source is None or not isinstance(source.value, str):
        return
    if source is not None and isinstance(source.value, str) and source.value not in views:
        problems.add(
            source, f"the dataset has no view {source.value!r}; {suggestion(source.value, views, 'its views')}"
        )


def refused(certifier: Certifier | None, view: str | None, entry: Located, threat: Threat, builder: Builder) -> None:
    """Tell a certifier that cannot serve the threat; a view out of reach needs none."""
    if certifier is None or not threat.reaches(view):
        return
    if why := certifier.refusal(threat):
        name = builder.names[type(certifier)]
        builder.problems.add(entry["certifier"], f"{name!r} cannot serve this threat: {why}")


def overtrained(
    trainer: Trainer | None, certifier: Certifier | None, entry: Located, threat: Threat, builder: Builder
) -> None:
    """Tell a trainer whose l_inf budget is as large as the domain: it is written in other units."""
    budget = None if trainer is None else trainer.budget()
    if trainer is None or budget is None or certifier is None or certifier.norm != LINF:
        return
    if why := threat.domain.excess(budget):
        name = builder.names[type(trainer)]
        builder.problems.add(entry["trainer"], f"{name!r} trains for {budget:g}; {why}")


def _inherited(entry: Located, network: Located) -> Located:
    """A restricted node is certified as its network is, amended by what it says itself."""
    inherited, written = network.get("certifier"), entry.get("certifier")
    if inherited is None:
        return entry
    return entry.with_item("certifier", _amended(inherited, written))


def _amended(weak: Located, strong: Located | None) -> Located:
    return weak if strong is None or strong.empty else amend_component(weak, strong)
