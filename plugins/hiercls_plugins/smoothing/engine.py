"""The smoothed classifier of every decision that one network serves: select, estimate, predict, audit."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING

import numpy as np
import torch

from hiercls.contracts.context import Context
from hiercls.contracts.provers import Claim, Estimate, Proof, Row
from hiercls.values.draws import Purpose
from hiercls.values.heads import ABSTAIN, Head
from hiercls.values.views import Inputs
from hiercls.words.errors import ConfigurationError
from hiercls.words.norms import L2
from hiercls.words.threats import EVERYWHERE
from hiercls_plugins.smoothing.ballots import Ballot
from hiercls_plugins.smoothing.courses import Asked, Course, Tally
from hiercls_plugins.smoothing.flights import Flight, landings
from hiercls_plugins.smoothing.rules import RULES
from hiercls_plugins.smoothing.votes import Votes

if TYPE_CHECKING:
    from hiercls_plugins.smoothing.certifier import Smoothing


WORTH_TIMING = 400
"""Tiles of work below which none is timed: timing takes four, at most a hundredth of what it estimates."""


class Smoothed:
    """The smoothed classifier: each decision is the child that a rule finds in the answers around the input.

    Candidates come from selection draws; radii and tests see fresh draws of a purpose of their own. All
    decisions count the same draws, and each counts all of them up to its last look. A child without an allowed
    label cannot be answered, so its radius is infinite.

    Raises:
        ConfigurationError: alpha is not a level at which anything can be proved.
    """

    norm = L2

    def __init__(self, votes: Votes, heads: Sequence[Head], options: "Smoothing", context: Context):
        if not 0 < context.alpha < 0.5:
            raise ConfigurationError(
                f"smoothing: alpha {context.alpha!r} is no level; take one between 0 and 0.5, such as 0.001"
            )
        self.votes = votes
        self.heads = tuple(heads)
        self.options = options
        self.context = context
        self.alpha = context.alpha
        self.domain = context.threat.domain if options.noise == "grid" else EVERYWHERE
        self.rule = RULES[options.rule]

    def decide(self, inputs: Inputs, purpose: Purpose, alpha: float | None = None) -> Mapping[Head, torch.Tensor]:
        """The rule's child of SELECT draws; for PREDICT and AUDIT that candidate where fresh draws confirm it.

        A wrong child is returned with probability at most alpha, for each head and input on its own. An
        audit may test one perturbed input an example: a second one would meet the same draws.
        """
        tested = {Purpose.SELECT: 0, Purpose.PREDICT: self.options.predict, Purpose.AUDIT: self.options.audit}
        if purpose not in tested:
            raise ValueError(f"smoothing: draws of purpose {purpose.name} decide nothing")
        disputes = [_Dispute(inputs[k : k + 1], self.heads) for k in range(len(inputs))]
        self._name(disputes)
        if purpose is not Purpose.SELECT:
            self._test(disputes, purpose, tested[purpose], self.alpha if alpha is None else alpha)
        found = [[dispute.found[head] for dispute in disputes] for head in self.heads]
        return dict(zip(self.heads, torch.tensor(found, dtype=torch.int64), strict=True))

    def prove(self, claims: Iterable[Claim]) -> Iterator[Proof]:
        booth = self.votes.booth(Purpose.ESTIMATE, self.options.draws)
        for flight in landings((self._flight(claim) for claim in claims), booth):
            yield Proof(flight.claim.index, self._rows(flight))

    def scores(self, inputs: Inputs, draws: int, step: int) -> Mapping[Head, torch.Tensor]:
        return self.votes.scores(inputs, draws, step, self.heads)

    def estimate(self, one: Inputs, decided: int, proved: int) -> Estimate:
        """All draws that the options allow, at the rate of a few full tiles around `one`."""
        options = self.options
        draws = decided * options.select + proved * options.draws
        if draws < WORTH_TIMING * self.votes.tile:
            return Estimate(draws)
        ballots = [self.rule.testing(head, 0) for head in self.heads]
        passes = decided * self._passes(options.select) + proved * self._passes(options.draws)
        return Estimate(draws, passes / self.votes.rate(one, ballots))

    def _passes(self, draws: int) -> int:
        """What so many draws of one input are in whole blocks."""
        block = min(self.votes.block, draws)
        return -(-draws // block) * block

    def _name(self, disputes: Sequence["_Dispute"]) -> None:
        """Give every dispute the candidates of its selection draws."""
        draws = self.options.select
        asked = [
            {head: self.rule.naming(head.only(children)) for head, children in dispute.open.items()}
            for dispute in disputes
        ]
        for dispute, counts in self._polled(disputes, asked, Purpose.SELECT, draws):
            for head, children in dispute.open.items():
                named = self.rule.named(counts[head], head.only(children), draws)
                dispute.found[head] = ABSTAIN if named is None else children[named]

    def _test(self, disputes: Sequence["_Dispute"], purpose: Purpose, draws: int, alpha: float) -> None:
        """Take back every candidate that fresh draws do not confirm."""
        asked = [
            {
                head: self.rule.testing(head.only(children), children.index(dispute.found[head]))
                for head, children in dispute.open.items()
                if dispute.found[head] != ABSTAIN
            }
            for dispute in disputes
        ]
        for dispute, counts in self._polled(disputes, asked, purpose, draws):
            slack = self._slack(dispute.one)
            for head, found in counts.items():
                chosen = dispute.open[head].index(dispute.found[head])
                if not self.rule.confirms(found, chosen, draws, alpha, slack):
                    dispute.found[head] = ABSTAIN

    def _polled(
        self, disputes: Sequence["_Dispute"], asked: Sequence[Mapping[Head, Ballot]], purpose: Purpose, draws: int
    ) -> Iterator[tuple["_Dispute", dict[Head, np.ndarray]]]:
        """Counts of a fixed number of draws for each dispute that asks for any."""
        flights = (
            Flight(Claim(dispute.one, {}), number, (draws,), {head: Tally() for head in ballots}, ballots)
            for number, (dispute, ballots) in enumerate(zip(disputes, asked, strict=True))
        )
        for flight in landings(flights, self.votes.booth(purpose, draws)):
            yield disputes[flight.number], {head: tally.counts for head, tally in flight.courses.items()}

    def _flight(self, claim: Claim) -> Flight[Course]:
        asked = self._asked(claim.inputs)
        courses: dict[Head, Course] = {}
        ballots: dict[Head, Ballot] = {}
        for head, chosen in claim.chosen.items():
            children = _allowed(claim.inputs, head)
            if head in self.heads and chosen in children and len(children) > 1:
                local = children.index(chosen)
                courses[head] = asked.course(local, len(children))
                ballots[head] = self.rule.testing(head.only(children), local)
        return Flight(claim, 0, asked.looks(), courses, ballots)

    def _asked(self, one: Inputs) -> Asked:
        options, entries = self.options, self.votes.entries(one)
        return Asked(
            draws=options.draws,
            block=self.votes.block,
            sigma=self.votes.sigma,
            alpha=self.alpha,
            column=options.column,
            goals=options.goals(self.context.threat, entries),
            tolerance=options.tolerance,
            pairwise=options.rule == "pairwise",
            slack=self.votes.slack(entries),
        )

    def _slack(self, one: Inputs) -> float:
        return self.votes.slack(self.votes.entries(one))

    def _rows(self, flight: Flight[Course]) -> dict[Head, Row]:
        chosen = flight.claim.chosen
        return {
            head: self._estimated(head, chosen[head], flight)
            if head in flight.courses
            else _settled(head, chosen[head], _allowed(flight.claim.inputs, head))
            for head in self.heads
            if head in chosen
        }

    def _estimated(self, head: Head, chosen: int, flight: Flight[Course]) -> Row:
        own, targeted, evidence = flight.courses[head].proved()
        children = _allowed(flight.claim.inputs, head)
        counts = self._counts(head, children, flight.courses[head].counts)
        level = {"sigma": self.votes.sigma, "alpha": self.alpha, "column": self.options.column}
        slack = self._slack(flight.claim.inputs)
        charged = {"slack": slack} if slack else {}
        told = {**counts, "draws": evidence["draws"], **level, **evidence, **charged, **self.votes.remarks()}
        return Row(chosen, own, tuple(_spread(head, children, targeted.tolist(), inf)), told)

    def _counts(self, head: Head, children: tuple[int, ...], counts: np.ndarray) -> dict[str, list[int]]:
        if self.options.rule == "pairwise":
            return {"wins": _spread(head, children, counts.tolist(), 0)}
        return {"counts": [*_spread(head, children, counts[:-1].tolist(), 0), int(counts[-1])]}


class _Dispute:
    """The decisions about one input: those with several allowed children are open."""

    def __init__(self, one: Inputs, heads: Sequence[Head]):
        allowed = {head: _allowed(one, head) for head in heads}
        self.one = one
        self.open = {head: children for head, children in allowed.items() if len(children) > 1}
        self.found = {head: children[0] if len(children) == 1 else ABSTAIN for head, children in allowed.items()}


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
