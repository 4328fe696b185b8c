"""From a recipe to the steps that carry it out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import networkx as nx

from hiercls.contracts.components import Architecture, Certifier, Component, Trainer
from hiercls.values.heads import Head, restricted, retrained
from hiercls.values.labels import LabelTree, Node, flat_tree
from hiercls.wiring.recipe import ComposedSpec, NetworkSpec, NodeSpec, Recipe
from hiercls.words.errors import ConfigurationError

TREE = "tree"
"""The name of the system that is the recipe's tree; baselines have the names of their networks."""


@dataclass(frozen=True)
class Job:
    """One network to be trained.

    Attributes:
        name: for people; in no key.
        init: the name of the job whose weights it starts from, or None.
        parts: the label sets that its outputs mean.
    """

    name: str
    architecture: Architecture
    trainer: Trainer
    init: str | None
    parts: tuple[Node, ...]
    view: str


@dataclass(frozen=True)
class Placement:
    """What decides at one node: a head of a network, and how it is certified."""

    job: str
    head: Head
    certifier: Certifier | None
    view: str


@dataclass(frozen=True)
class System:
    """One classifier to be certified: the recipe's tree, or a baseline as a tree of depth 1."""

    name: str
    tree: LabelTree
    nodes: Mapping[Node, Placement]

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks that decide at its nodes, each once, in the order of the tree."""
        return tuple(dict.fromkeys(self.nodes[node].job for node in self.tree.decisions))


@dataclass(frozen=True)
class Step:
    """One piece of work: its kind, its name, and the names of the steps that it needs."""

    kind: Literal["network", "tree", "paths", "proofs", "audit", "report"]
    name: str
    needs: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """The jobs, systems and steps of a recipe; systems appear when the tree is known.

    Attributes:
        composed: the networks that are composed, not trained: by name, the system whose walk each of them is.
    """

    jobs: Mapping[str, Job]
    systems: tuple[System, ...]
    steps: tuple[Step, ...]
    composed: Mapping[str, System]


def named_jobs(recipe: Recipe, labels: Sequence[str]) -> dict[str, Job]:
    """The networks that the recipe names and that are trained; their outputs are the labels."""
    parts = tuple(frozenset((label,)) for label in range(len(labels)))
    return {
        name: Job(name, spec.architecture, spec.trainer, spec.init, parts, spec.view or recipe.threat.view)
        for name, spec in recipe.networks.items()
        if isinstance(spec, NetworkSpec)
    }


def plan(recipe: Recipe, labels: Sequence[str], tree: LabelTree | None) -> Plan:
    """The plan of a recipe.

    Args:
        tree: the label tree; None while a derived one does not exist yet. Then only the networks that
            it needs, and the tree itself, are planned.

    Raises:
        ConfigurationError: the steps need one another in a cycle, which is named.
    """
    jobs = named_jobs(recipe, labels)
    systems: tuple[System, ...] = ()
    composed: dict[str, System] = {}
    if tree is not None:
        own = {node: _node_job(tree, node, spec) for node, spec in recipe.node_specs(tree).items()}
        jobs |= {job.name: job for job in own.values() if job is not None}
        whole = _tree_system(recipe, tree)
        systems = (whole, *(_baseline(recipe, labels, name) for name in recipe.baseline))
        composed = {name: whole for name, spec in recipe.networks.items() if isinstance(spec, ComposedSpec)}
    return Plan(jobs, systems, _ordered(_steps(recipe, jobs, systems, tree)), composed)


def _node_job(tree: LabelTree, node: Node, spec: NodeSpec) -> Job | None:
    if spec.restrict is not None:
        return None
    assert spec.architecture is not None
    assert spec.trainer is not None
    assert spec.view is not None
    return Job(node_job_name(tree, node), spec.architecture, spec.trainer, spec.init, tree.children(node), spec.view)


def node_job_name(tree: LabelTree, node: Node) -> str:
    return f"node {tree.name(node)}"


def _tree_system(recipe: Recipe, tree: LabelTree) -> System:
    placements = {}
    for node, spec in recipe.node_specs(tree).items():
        assert spec.view is not None
        job = node_job_name(tree, node) if spec.restrict is None else spec.restrict
        head = retrained(tree.children(node)) if spec.restrict is None else restricted(tree.children(node))
        placements[node] = Placement(job, head, spec.certifier, spec.view)
    return System(TREE, tree, placements)


def _baseline(recipe: Recipe, labels: Sequence[str], name: str) -> System:
    tree = flat_tree(labels)
    spec = recipe.networks[name]
    head = restricted(tree.children(tree.root))
    view = spec.view or recipe.threat.view
    if name == TREE:
        raise ConfigurationError(f"baseline: a network called {name!r} cannot stand beside the tree; rename it")
    return System(name, tree, {tree.root: Placement(name, head, spec.certifier, view)})


def _steps(recipe: Recipe, jobs: Mapping[str, Job], systems: Sequence[System], tree: LabelTree | None) -> list[Step]:
    derived = recipe.tree.build is not None
    steps = [Step("network", name, _job_needs(job, derived, recipe)) for name, job in jobs.items()]
    if derived:
        assert recipe.tree.build is not None
        steps.append(Step("tree", "tree", tuple(recipe.tree.build.needs())))
    if tree is not None:
        served = tuple(sorted({name for system in systems for name in system.networks if name in jobs}))
        steps += [Step("paths", "paths", served), Step("proofs", "proofs", ("paths",))]
        steps += [Step("audit", "audit", ("proofs",)), Step("report", "report", ("proofs",))]
    return steps


def _job_needs(job: Job, derived: bool, recipe: Recipe) -> tuple[str, ...]:
    below_tree = job.name not in recipe.networks or job.trainer.uses_tree
    return ((job.init,) if job.init else ()) + (("tree",) if derived and below_tree else ())


def _ordered(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps, each after those that it needs."""
    graph = nx.DiGraph()
    graph.add_nodes_from(step.name for step in steps)
    graph.add_edges_from((need, step.name) for step in steps for need in step.needs)
    try:
        order = list(nx.lexicographical_topological_sort(graph, key=[step.name for step in steps].index))
    except nx.NetworkXUnfeasible:
        cycle = [source for source, _ in nx.find_cycle(graph)]
        raise ConfigurationError(f"recipe: these steps need one another: {' -> '.join([*cycle, cycle[0]])}") from None
    by_name = {step.name: step for step in steps}
    return tuple(by_name[name] for name in order)


def identity(component: Component) -> dict[str, Any]:
    """What a component is, for a key: its class, its revision and the options that differ from their defaults.

    An option that a later version adds therefore changes no key, and a default that changes raises the revision.
    """
    return _told(component, component.model_dump(mode="json", exclude_defaults=True))


def described(component: Component) -> dict[str, Any]:
    """What a component is, for a reader: every option."""
    return _told(component, component.model_dump(mode="json"))


def _told(component: Component, options: dict[str, Any]) -> dict[str, Any]:
    kind = type(component)
    return {"class": f"{kind.__module__}:{kind.__qualname__}", "revision": kind.revision, "options": options}
