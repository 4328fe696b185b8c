"""Cohen's procedure for every decision that one network serves: select, estimate, predict, audit."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING

import numpy as np
import torch

from hiercls.contracts.provers import Claim, Proof, Row
from hiercls.values.draws import Purpose
from hiercls.values.heads import ABSTAIN, Head
from hiercls.values.views import Inputs
from hiercls.words.errors import ConfigurationError
from hiercls.words.norms import L2
from hiercls.words.threats import EVERYWHERE
from hiercls_plugins.smoothing.statistics import COLUMNS, confirms, leader
from hiercls_plugins.smoothing.votes import Votes

if TYPE_CHECKING:
    from hiercls_plugins.smoothing.certifier import Smoothing


class Smoothed:
    """The smoothed classifier: each decision is the child that wins most draws around the input.

    Candidates come from selection draws; radii and tests see fresh draws of a purpose of their own. All
    decisions count the same draws, and each counts all of them. A child without an allowed label cannot
    be answered, so its radius is infinite.

    Raises:
        ConfigurationError: alpha is not a level at which anything can be proved.
    """

    norm = L2
    domain = EVERYWHERE

    def __init__(self, votes: Votes, heads: Sequence[Head], options: "Smoothing", alpha: float):
        if not 0 < alpha < 0.5:
            raise ConfigurationError(
                f"smoothing: alpha {alpha!r} is no level; take one between 0 and 0.5, such as 0.001"
            )
        self.votes = votes
        self.heads = tuple(heads)
        self.options = options
        self.alpha = alpha
        self.sigma = float(np.float32(options.sigma))  # what float32 noise is scaled by

    def decide(self, inputs: Inputs, purpose: Purpose, alpha: float | None = None) -> Mapping[Head, torch.Tensor]:
        """Plurality on SELECT draws; for PREDICT and AUDIT that candidate where fresh draws confirm it.

        A wrong child is returned with probability at most alpha, for each head and input on its own. An
        audit may test one perturbed input an example: a second one would meet the same draws.
        """
        tested = {Purpose.SELECT: 0, Purpose.PREDICT: self.options.predict, Purpose.AUDIT: self.options.audit}
        if purpose not in tested:
            raise ValueError(f"smoothing: draws of purpose {purpose.name} decide nothing")
        level = self.alpha if alpha is None else alpha
        decided = torch.full((len(self.heads), len(inputs)), ABSTAIN)
        for k in range(len(inputs)):
            found = self._decide(inputs[k : k + 1], purpose, tested[purpose], level)
            decided[:, k] = torch.tensor([found[head] for head in self.heads])
        return dict(zip(self.heads, decided, strict=True))

    def prove(self, claims: Iterable[Claim]) -> Iterator[Proof]:
        for claim in claims:
            yield Proof(claim.index, self._rows(claim))

    def scores(self, inputs: Inputs, draws: int, step: int) -> Mapping[Head, torch.Tensor]:
        return self.votes.scores(inputs, draws, step, self.heads)

    def _decide(self, one: Inputs, purpose: Purpose, draws: int, alpha: float) -> dict[Head, int]:
        allowed = {head: _allowed(one, head) for head in self.heads}
        found = {head: children[0] if len(children) == 1 else ABSTAIN for head, children in allowed.items()}
        disputed = {head: children for head, children in allowed.items() if len(children) > 1}
        for head, counts in self._counts(one, Purpose.SELECT, self.options.select, disputed).items():
            found[head] = (*disputed[head], ABSTAIN)[leader(counts)]
        if purpose is Purpose.SELECT:
            return found
        named = {head: children for head, children in disputed.items() if found[head] != ABSTAIN}
        for head, counts in self._counts(one, purpose, draws, named).items():
            if not confirms(counts, named[head].index(found[head]), alpha):
                found[head] = ABSTAIN
        return found

    def _rows(self, claim: Claim) -> dict[Head, Row]:
        asked = {head: _allowed(claim.inputs, head) for head in self.heads if head in claim.chosen}
        disputed = {
            head: children for head, children in asked.items() if claim.chosen[head] in children and len(children) > 1
        }
        counts = self._counts(claim.inputs, Purpose.ESTIMATE, self.options.draws, disputed)
        return {
            head: self._estimated(head, claim.chosen[head], children, counts[head])
            if head in counts
            else _settled(head, claim.chosen[head], children)
            for head, children in asked.items()
        }

    def _counts(
        self, one: Inputs, purpose: Purpose, draws: int, asked: Mapping[Head, tuple[int, ...]]
    ) -> dict[Head, np.ndarray]:
        """The votes among the allowed children of each decision, and last the lost draws."""
        among = {head: head.only(children) for head, children in asked.items()}
        counted = self.votes.count(one, purpose, draws, tuple(dict.fromkeys(among.values())))
        return {head: counted[narrowed] for head, narrowed in among.items()}

    def _estimated(self, head: Head, chosen: int, children: tuple[int, ...], counts: np.ndarray) -> Row:
        options, local = self.options, children.index(chosen)
        columns = {name: bounds(counts, local, self.sigma, self.alpha) for name, bounds in COLUMNS.items()}
        proved = columns[options.column]
        radii = _spread(head, children, proved.targeted.tolist(), inf)
        evidence = {
            "counts": [*_spread(head, children, counts[:-1].tolist(), 0), int(counts[-1])],
            "draws": options.draws,
            "sigma": self.sigma,
            "alpha": self.alpha,
            "column": options.column,
            "lower": proved.lower,
            "own": {name: column.own for name, column in columns.items()},
        }
        return Row(chosen, proved.own, tuple(radii), evidence)


def _allowed(one: Inputs, head: Head) -> tuple[int, ...]:
    """The children that hold an allowed label of one example."""
    allowed = one.allowed_children(head.children)
    if allowed is None:
        return tuple(range(len(head.children)))
    return tuple(allowed[0].nonzero().squeeze(1).tolist())


def _settled(head: Head, chosen: int, children: tuple[int, ...]) -> Row:
    """A row without draws: the only allowed child is answered always; a child that is not allowed, never."""
    radii = _spread(head, children, [0.0] * len(children), inf)
    radii[chosen] = 0.0
    return Row(chosen, inf if children == (chosen,) else 0.0, tuple(radii))


def _spread(head: Head, children: tuple[int, ...], values: Sequence, rest: float) -> list:
    """Values of the allowed children in their places, `rest` in all others."""
    spread = [rest] * len(head.children)
    for child, value in zip(children, values, strict=True):
        spread[child] = value
    return spread
