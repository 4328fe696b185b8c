"""Claims go in, proofs come out."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from hiercls.values.draws import Purpose
from hiercls.values.heads import Head
from hiercls.values.views import Inputs
from hiercls.words.norms import Norm
from hiercls.words.threats import Domain

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Claim:
    """One input with the children chosen on its path: what a prover is asked to prove.

    Attributes:
        inputs: exactly one example.
        chosen: the child that each decision took; only decisions on the input's path are named.
    """

    inputs: Inputs
    chosen: Mapping[Head, int]

    @property
    def index(self) -> int:
        return int(self.inputs.index[0])


@dataclass(frozen=True)
class Row:
    """What was proved of one decision for one input.

    Attributes:
        chosen: the child that was claimed.
        own: no perturbation within it changes the decision; a closed radius, 0 is no claim.
        radii: one targeted radius a child, valid together; 0 for the chosen child.
        evidence: what the radii were computed from (counts, looks, tested budgets), in JSON's types.
    """

    chosen: int
    own: float
    radii: tuple[float, ...]
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Proof:
    """The finished rows of one claim."""

    index: int
    rows: Mapping[Head, Row]


@dataclass(frozen=True)
class Estimate:
    """What a piece of work costs a prover at most.

    Attributes:
        draws: draws of noise; 0 for a method without any.
        seconds: of one process, from timing a little of the work; None where that would take long beside the work.
    """

    draws: int = 0
    seconds: float | None = None


class Prover(Protocol):
    """A deployed classifier that decides, proves and can be attacked: one object for all three.

    Attributes:
        heads: the decisions that the deployed network serves.
        norm: the norm of its radii.
        domain: the perturbed inputs of which its proofs speak.
        alpha: the level of its rows, 0 for deterministic proofs.
    """

    heads: tuple[Head, ...]
    norm: Norm
    domain: Domain
    alpha: float

    def decide(self, inputs: Inputs, purpose: Purpose, alpha: float | None = None) -> "Mapping[Head, torch.Tensor]":
        """The chosen child of each decision among the children allowed for each input.

        Args:
            purpose: which draws a smoothed decision uses. SELECT names the most frequent child of a few
                draws; PREDICT and AUDIT test the child that selection names on fresh draws of their own.
            alpha: the level of that test; the prover's own level by default.

        Returns:
            (N,) int64 for each head: a child, or ABSTAIN.
        """
        ...

    def prove(self, claims: Iterable[Claim]) -> Iterator[Proof]:
        """Pull claims lazily, at most the context's batch ahead, and yield each proof when it is finished."""
        ...

    def scores(self, inputs: Inputs, draws: int, step: int) -> "Mapping[Head, torch.Tensor]":
        """Differentiable evidence for each child, (N, children): what an attack climbs.

        A smoothed decision returns log-probabilities averaged over `draws` draws of purpose ATTACK, block
        `step`; a deterministic one its scores. A child without an allowed label scores -inf.
        """
        ...


@runtime_checkable
class Estimating(Protocol):
    """A prover that also says what it will cost before it starts. No prover has to."""

    def estimate(self, one: Inputs, decided: int, proved: int) -> Estimate:
        """The cost of so many inputs, at most. It changes no decision and no proof.

        Args:
            one: one example of them, to time the work on.
            decided: how many are decided on for the first time (`decide` for SELECT).
            proved: how many claims are proved.
        """
        ...
