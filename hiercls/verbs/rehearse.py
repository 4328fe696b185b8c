"""A recipe with untrained networks: what would go wrong after hours of training goes wrong now."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from hiercls.contracts.components import Certifier
from hiercls.contracts.context import Context
from hiercls.values.certificates import LabelCertificates, Scope, uncertified
from hiercls.values.compose import compose
from hiercls.values.heads import ABSTAIN, UNREACHED, restricted
from hiercls.values.labels import LabelTree, Node, flat_tree
from hiercls.whole.classifier import assemble
from hiercls.whole.data import Data
from hiercls.whole.networks import Networks
from hiercls.whole.plan import Placement, System, plan
from hiercls.wiring.recipe import NetworkSpec, Recipe
from hiercls.words.errors import ConfigurationError, HierclsError


def rehearse(recipe: Recipe, data_root: Path | None = None) -> None:
    """Build every network, deploy every certifier and ask every metric once; nothing is trained and no data is read.

    Of a derived tree only the named networks are known.

    Raises:
        HierclsError: an architecture that does not take its view, an operation or a threat that a certifier does not
            know, a metric that does not fit the labels: everything that goes wrong, one line each.
    """
    torch.set_num_threads(recipe.threads)
    tree = recipe.written_tree()
    planned = plan(recipe, recipe.labels, tree)
    spec = recipe.data
    data = Data(spec.dataset, data_root, recipe.threat, recipe.seed, spec.allowed, spec.held_out)
    networks = Untrained(Path(), planned.jobs, data, recipe.threads, tree, planned.composed)
    context = Context(recipe.seed, recipe.threat, threads=recipe.threads, alpha=recipe.certify.alpha)
    failures = Failures()
    fitting = set()
    for name in planned.jobs:
        with failures.of(_called(recipe, name)):
            networks.require_fit(name)
            fitting.add(name)
    for job in planned.jobs.values():
        if job.init is not None and fitting.issuperset((job.name, job.init)):
            with failures.of("init"):
                networks.started(job.name)
    systems = (*planned.systems, *(() if tree is not None else _flat_systems(recipe)))
    for (name, _), part in _by_prover(systems).items():
        if fitting.issuperset(networks.behind(name)):
            with failures.of(_called(recipe, name)):
                assemble((part,), networks, context, joint=False)
    _ask_metrics(recipe, tree or flat_tree(recipe.labels), failures)
    failures.settle()


class Untrained(Networks):
    """The networks of a recipe as their architectures build them."""

    def _loaded(self, name: str) -> torch.nn.Module:
        return self._built(self.jobs[name]).eval()

    def weights_sha(self, name: str) -> str:
        return "untrained"

    def require_fit(self, name: str) -> None:
        """Refuse an architecture that does not map its view to one output a part."""
        job = self.jobs[name]
        shape, outputs = self.data.dataset.views()[job.view], len(job.parts)
        asked = f"inputs of shape {tuple(shape)} on {job.view!r}"
        try:
            with torch.no_grad():
                found = self.load(name)(torch.zeros(2, *shape))
        except (RuntimeError, ValueError) as error:  # torch tells shapes that do not fit so
            told = (str(error).splitlines() or [type(error).__name__])[0]
            raise ConfigurationError(f"its architecture does not take {asked}: {told}") from error
        if found.shape != (2, outputs):
            raise ConfigurationError(f"its architecture gives {tuple(found.shape)} for 2 {asked}, not (2, {outputs})")


@dataclass
class Failures:
    """Collects what goes wrong, so that one rehearsal tells all of it."""

    found: list[tuple[str, type[HierclsError]]] = field(default_factory=list)

    @contextmanager
    def of(self, whose: str) -> Iterator[None]:
        try:
            yield
        except HierclsError as error:
            self.found.append((f"{whose}: {error}", type(error)))

    def settle(self) -> None:
        """Raise everything that was found as the one kind that it is of."""
        if self.found:
            kinds = {kind for _, kind in self.found}
            kind = kinds.pop() if len(kinds) == 1 else ConfigurationError
            raise kind("\n".join(dict.fromkeys(text for text, _ in self.found)))


def _called(recipe: Recipe, job: str) -> str:
    return f"network {job!r}" if job in recipe.networks else job


def _flat_systems(recipe: Recipe) -> Iterator[System]:
    """Every named network that is trained, as a classifier of its own: what is known of a tree derived from them."""
    tree = flat_tree(recipe.labels)
    head = restricted(tree.children(tree.root))
    for name, spec in recipe.networks.items():
        if isinstance(spec, NetworkSpec):
            placement = Placement(name, head, spec.certifier, spec.view or recipe.threat.view)
            yield System(name, tree, {tree.root: placement})


def _by_prover(systems: tuple[System, ...]) -> dict[tuple[str, Certifier | None], System]:
    """The decisions of each network and certifier alone, so that each is told on its own."""
    found: dict[tuple[str, Certifier | None], tuple[System, dict[Node, Placement]]] = {}
    for system in systems:
        for node, placement in system.nodes.items():
            _, nodes = found.setdefault((placement.job, placement.certifier), (system, {}))
            nodes[node] = placement
    return {key: System(system.name, system.tree, nodes) for key, (system, nodes) in found.items()}


def _ask_metrics(recipe: Recipe, tree: LabelTree, failures: Failures) -> None:
    """Measure one input of which nothing is decided."""
    scope = Scope(recipe.threat.norm, recipe.threat.view, recipe.threat.domain)
    for metric in recipe.metrics:
        with failures.of("metrics"):
            metric.measure(tree, _undecided(tree, scope), torch.zeros(1, dtype=torch.int64), recipe.threat)


def _undecided(tree: LabelTree, scope: Scope) -> LabelCertificates:
    chosen = {node: torch.tensor([ABSTAIN if node == tree.root else UNREACHED]) for node in tree.decisions}
    return compose(tree, {node: uncertified(tree.children(node), chosen[node], scope) for node in tree.decisions})
