"""Everything a report speaks of, as one value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from hiercls.values.certificates import LabelCertificates
from hiercls.values.labels import LabelTree, Node
from hiercls.words.errors import ConfigurationError
from hiercls.words.threats import Threat


@dataclass(frozen=True)
class NodeFact:
    """What decides at one node of a system, for people.

    Attributes:
        name: the node's name in its tree.
        short_name: the same, shortened where it lists many labels.
        level: the number of decisions above it.
        decides: the network behind it, such as `retrained cnn-small, ibp eps 0.1` or `restricted from flat`.
        certifier: how it is certified; None where it is not.
        view: the view it reads.
        in_reach: whether the adversary can perturb that view.
        parameters: how many parameters the network has.
        accuracy: the share of inputs that it sends the right way, among those whose label it holds; None if unknown.
    """

    name: str
    short_name: str
    level: int
    decides: str
    certifier: str | None
    view: str
    in_reach: bool
    parameters: int
    accuracy: float | None = None

    def guarantee(self, mask_in_reach: str | None = None) -> str:
        """What the node can promise, in words; nothing where the adversary can change the allowed labels."""
        if mask_in_reach is not None:
            return f"nothing: the adversary can change {mask_in_reach}, which gives the allowed labels"
        if not self.in_reach:
            return f"the adversary cannot touch {self.view}: infinite"
        return self.certifier or "not certified: every radius is 0"


@dataclass(frozen=True, eq=False)
class System:
    """One assembled classifier with its certificates on N inputs.

    Attributes:
        name: such as `tree` or `flat`.
        certificates: of the N inputs.
        truth: (N,) int64, the true labels.
        nodes: what decides where.
    """

    name: str
    certificates: LabelCertificates
    truth: torch.Tensor
    nodes: tuple[NodeFact, ...] = ()

    def __post_init__(self) -> None:
        if self.truth.shape != self.certificates.answer.shape:
            found = f"{len(self.certificates.answer)} certified inputs, but {len(self.truth)} true labels"
            raise ConfigurationError(f"report: {self.name} has {found}")

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def tree(self) -> LabelTree:
        return self.certificates.tree


@dataclass(frozen=True, eq=False)
class Findings:
    """What a run found.

    Attributes:
        title: the name of the run.
        command: the command line that makes it again.
        recipe: the resolved YAML.
        environment: versions, kind of machine, seed, date; printed as given.
        threat: the adversary of all certificates.
        systems: first the tree, then the baselines, on the same inputs and labels.
        metrics: system -> metric -> value as a fraction.
        evaluation: named clean figures of the systems as deployed, as fractions.
        audit: `breaks` and `allowed` over all systems, `broken` (the systems whose certificates are broken, or
            `none`), and whatever else describes the audit, in printing order. `warnings`, where given, are
            sentences on what the audit could not have found; they stand beside the verdict.
        affinity: named label sets in which an answer may move.
        warnings: one sentence each.
        mask_in_reach: the view that gives the allowed labels, where the adversary can change it; no system then
            claims anything.
    """

    title: str
    command: str
    recipe: str
    environment: Mapping[str, str]
    threat: Threat
    systems: tuple[System, ...]
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    evaluation: Mapping[str, float] | None = None
    audit: Mapping[str, Any] | None = None
    affinity: Mapping[str, Node] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    mask_in_reach: str | None = None

    def __post_init__(self) -> None:
        if not self.systems:
            raise ConfigurationError("report: nothing is certified yet; run `hiercls certify` first")
        if len({system.name for system in self.systems}) < len(self.systems):
            raise ConfigurationError("report: two systems have one name")
        for system in self.systems[1:]:
            if system.tree.labels != self.tree.labels or not torch.equal(system.truth, self.systems[0].truth):
                other = self.systems[0].name
                raise ConfigurationError(f"report: {system.name} was certified on other inputs or labels than {other}")
        for system in self.systems:
            scope = system.certificates.scope
            if (scope.norm, scope.view) != (self.threat.norm, self.threat.view):
                asked = f"the threat is {self.threat.norm} on {self.threat.view}"
                raise ConfigurationError(f"report: {system.name} speaks of {scope.norm} on {scope.view}, {asked}")

    def __len__(self) -> int:
        """The number of inputs."""
        return len(self.systems[0])

    @property
    def tree(self) -> LabelTree:
        """The tree whose groups every system is measured in."""
        return self.systems[0].tree
