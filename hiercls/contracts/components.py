"""The kinds of things that plugins bring.

Components are frozen values: their fields are their YAML options, their help and their repr. Their modules
import no torch; their methods import the arithmetic next door when called.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from hiercls.contracts.context import Context
from hiercls.values.heads import Head
from hiercls.values.labels import LabelTree, Node
from hiercls.words.norms import Norm
from hiercls.words.threats import Domain, Threat

if TYPE_CHECKING:
    import torch

    from hiercls.contracts.provers import Prover
    from hiercls.values.certificates import LabelCertificates
    from hiercls.values.views import Inputs


class Component(BaseModel, ABC):
    """A finished value made from YAML.

    `revision` rises when a default or a behaviour changes, so that stored results are redone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")
    revision: ClassVar[int] = 1


@dataclass(frozen=True)
class Examples:
    """One split of a dataset.

    Attributes:
        views: each view, (N, ...) float32 in raw units ([0, 1] for images).
        truth: (N,) int64 label indices.
        allowed: for each view that restricts labels, (N, L) bool.
        tracks: (N,) int64, examples that must stay together when a split is divided; None for no such tie.
    """

    views: "Mapping[str, torch.Tensor]"
    truth: "torch.Tensor"
    allowed: "Mapping[str, torch.Tensor]" = field(default_factory=dict)
    tracks: "torch.Tensor | None" = None


class Dataset(Component):
    """Labelled examples in named views."""

    @abstractmethod
    def labels(self, root: Path | None) -> tuple[str, ...]:
        """The label names in index order, without loading the examples.

        Args:
            root: the folder that holds datasets (HIERCLS_DATA), if one is set.
        """

    @abstractmethod
    def views(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of one example in each view."""

    def masks(self) -> tuple[str, ...]:
        """The views that can restrict the labels of an input."""
        return ()

    @abstractmethod
    def load(self, split: str, root: Path | None) -> Examples:
        """The `train` or the `test` split.

        Raises:
            DataError: the set is not there; names the searched places and how to lay it out.
        """


class Architecture(Component):
    """Builds an untrained network."""

    @abstractmethod
    def build(self, shape: tuple[int, ...], outputs: int) -> "torch.nn.Module":
        """A module from (N, *shape) in raw units to (N, outputs) logits.

        Called under a seeded torch generator. The module's state_dict is its whole state.
        """


@dataclass(frozen=True)
class Task:
    """What one network learns: to tell the parts of a partition apart.

    Attributes:
        x: (N, ...) float32 training inputs of one view, raw units.
        y: (N,) int64, the part that holds each example's label.
        held_out_x, held_out_y: examples kept from training, for validation; may be empty.
        parts: the label sets that the outputs mean, in output order.
        domain: where inputs lie under the threat.
        tree: the label tree, for trainers that use its groups; None for all others.
        started: whether the network comes with the weights of another, which the recipe names as `init`.
    """

    x: "torch.Tensor"
    y: "torch.Tensor"
    held_out_x: "torch.Tensor"
    held_out_y: "torch.Tensor"
    parts: tuple[Node, ...]
    domain: Domain
    tree: LabelTree | None = None
    started: bool = False


class Trainer(Component):
    """Fits a network.

    Attributes:
        uses_tree: whether the task holds the label tree; then the weights depend on it.
        flat_alone: whether it fits flat networks alone, with one output a label of the tree; others are refused for it.
    """

    uses_tree: ClassVar[bool] = False
    flat_alone: ClassVar[bool] = False

    @abstractmethod
    def fit(self, network: "torch.nn.Module", task: Task, context: Context) -> "torch.nn.Module":
        """The fitted network. Most trainers only hand an objective to `fitting.descend`."""

    def certifier(self) -> Mapping[str, Mapping[str, Any]] | None:
        """The certifier that suits networks of this trainer, as in YAML: its name and options."""
        return None

    def refusal(self, parts: tuple[Node, ...]) -> str | None:
        """Why it cannot fit a network whose outputs mean these label sets, as a clause; None if it can."""
        return None

    def budget(self) -> float | None:
        """The budget that it trains for, in units of the view and the norm of its certifier; None where it has none.

        A recipe in which a node is trained for more than its parent is warned of. A trainer for several budgets tells
        the largest.
        """
        return None

    def warnings(self) -> tuple[str, ...]:
        """What a user should know before training with it, one sentence each."""
        return ()


FLAT_ALONE = "trains a flat network, with one output a label of the tree; name it under networks"


def misfit(trainer: Trainer, parts: tuple[Node, ...], labels: int) -> str | None:
    """Why a trainer cannot fit a network whose outputs mean these sets of so many labels, as a clause."""
    if trainer.flat_alone and sorted(map(sorted, parts)) != [[label] for label in range(labels)]:
        return FLAT_ALONE
    return trainer.refusal(parts)


class Certifier(Component):
    """Deploys a network as a prover.

    Attributes:
        norm: the norm of the proved radii; the framework converts to the threat's.
        random: whether proofs may fail with probability alpha.
        uses_budgets: whether proofs depend on the threat's budgets; otherwise they are not told.
        any_function: whether proofs hold for any function of the input and need nothing of a network but its answers,
            so that a whole tree may stand in its place. Bounds, and slopes of what it computes, ask for more.
    """

    norm: ClassVar[Norm]
    random: ClassVar[bool] = False
    uses_budgets: ClassVar[bool] = False
    any_function: ClassVar[bool] = False

    def refusal(self, threat: Threat) -> str | None:
        """Why this certifier cannot serve a threat, as a clause; None if it can."""
        return None

    def warnings(self, threat: Threat, alpha: float) -> tuple[str, ...]:
        """What a user should know before paying for it, one sentence each."""
        return ()

    def arithmetic(self, device: str) -> Mapping[str, str]:
        """What its numbers depend on besides its options: device kind, dtype, tile, folding, generator."""
        return {"device": device.split(":")[0], "dtype": "float32"}

    @abstractmethod
    def deploy(self, network: "torch.nn.Module", heads: tuple[Head, ...], view: str, context: Context) -> "Prover":
        """Fold, cast and trace once, for all decisions that the network serves; the given network stays as it is."""


@dataclass(frozen=True)
class Grown:
    """A derived tree, and why it is this one."""

    tree: LabelTree
    why: str


class TreeBuilder(Component):
    """Grows a label tree from trained networks."""

    @abstractmethod
    def needs(self) -> tuple[str, ...]:
        """The named networks that must exist first."""

    def refusal(self, threat: Threat) -> str | None:
        """Why this builder cannot serve a threat, as a clause; None if it can."""
        return None

    @abstractmethod
    def build(
        self, labels: tuple[str, ...], networks: "Mapping[str, torch.nn.Module]", held_out: Task, context: Context
    ) -> Grown:
        """A tree over `labels`. `held_out` holds the flat task; its held-out part may be empty."""


@dataclass(frozen=True)
class Goal:
    """What an attack tries to reach: that one decision chooses one of the target children.

    Attributes:
        head: the decision.
        targets: (N, children) bool.
    """

    head: Head
    targets: "torch.Tensor"


class Attack(Component):
    """Searches for a perturbation."""

    @abstractmethod
    def perturb(
        self, prover: "Prover", inputs: "Inputs", goal: Goal, budget: "torch.Tensor", context: Context
    ) -> "torch.Tensor":
        """Perturbed inputs of the threat's view, within `budget` (N,) of the clean ones and inside the domain.

        The framework clips again, decides again and measures: an attack reports nothing itself.
        """


class Metric(Component):
    """Measures certificates against the truth."""

    @abstractmethod
    def measure(
        self, tree: LabelTree, certificates: "LabelCertificates", truth: "torch.Tensor", threat: Threat
    ) -> Mapping[str, float]:
        """Named errors, as fractions: the smaller the better, and rounded up where they are shown.

        Args:
            tree: the recipe's tree, in whose groups every system is measured, a flat baseline too.
        """


KINDS: Mapping[str, type[Component]] = {
    "dataset": Dataset,
    "architecture": Architecture,
    "trainer": Trainer,
    "certifier": Certifier,
    "attack": Attack,
    "tree-builder": TreeBuilder,
    "metric": Metric,
}
