"""A vote source of known probabilities in the place of a network, and what the engine claims of it."""

import numpy as np
import torch
from scipy.stats import binom, norm
from sequential_toys import ALPHA
from smoothing_toys import parts

from hiercls.contracts.context import Context
from hiercls.contracts.provers import Claim
from hiercls.values.certificates import NodeCertificates, Scope
from hiercls.values.heads import restricted
from hiercls.values.labels import grow
from hiercls.values.views import Inputs
from hiercls.words.norms import L2
from hiercls.words.threats import EVERYWHERE, Threat
from hiercls_plugins.smoothing.certifier import Smoothing
from hiercls_plugins.smoothing.engine import Smoothed
from hiercls_plugins.smoothing.statistics import lower_bound

REPETITIONS = 4000


class Known:
    """Votes with known probabilities: half-spaces in directions of their own, so that heads are independent.

    `shared` is the mistake of drawing for selection and for estimation from one stream.
    """

    sigma = 1.0
    block = 100

    def __init__(self, probabilities, shared=False, seed=0, batch=64):
        self.probabilities = probabilities
        self.shared = shared
        self.seed = seed
        self.batch = batch

    def booth(self, purpose, draws):
        return KnownBooth(self, 0 if self.shared else purpose.value)

    def entries(self, one):
        return 1

    def slack(self, entries):
        return 0.0

    def remarks(self):
        return {}

    def fresh(self, generator, draws, ballots):
        drawn = {head: generator.multinomial(draws, p) for head, p in self.probabilities.items()}
        return {ballot: drawn[ballot.head] for ballot in ballots}


class Ranked(Known):
    """Votes of one flat network whose logits are drawn from a few with known probabilities: all heads share draws.

    probabilities: (O,) of each outcome; logits: (O, outputs).
    """

    def __init__(self, probabilities, logits, **options):
        super().__init__(probabilities, **options)
        self.logits = torch.tensor(logits, dtype=torch.float32)[:, None]

    def fresh(self, generator, draws, ballots):
        drawn = generator.multinomial(draws, self.probabilities)
        sure = torch.ones(len(drawn), 1, dtype=torch.bool)
        return {ballot: drawn @ ballot.tally(self.logits, sure).numpy() for ballot in ballots}


class KnownBooth:
    """Counts without a network; the inputs asked for last are finished first, so that they retire out of order."""

    def __init__(self, votes, stream):
        self.votes, self.stream, self.seats = votes, stream, votes.batch
        self.generators, self.counts, self.finished = {}, {}, []

    def ask(self, seat, one, ballots, start, stop):
        if start == 0:
            self.generators[seat] = np.random.default_rng((self.votes.seed, self.stream, int(one.index[0])))
            self.counts[seat] = dict.fromkeys(ballots, 0)
        fresh = self.votes.fresh(self.generators[seat], stop - start, ballots)
        self.counts[seat] = {ballot: self.counts[seat][ballot] + fresh[ballot] for ballot in ballots}
        self.finished.append(seat)

    def ready(self):
        some, self.finished = self.finished[-5:], self.finished[:-5]
        return {seat: self.counts[seat] for seat in some}


def engine(probabilities, alpha=ALPHA, shared=False, seed=0, **options):
    return certifying(Known(probabilities, shared, seed), tuple(probabilities), alpha, **options)


def certifying(votes, heads, alpha=ALPHA, budgets=(), **options):
    options = Smoothing(**{"sigma": 1.0, "draws": 500, **options})
    return Smoothed(votes, heads, options, Context(alpha=alpha, threat=Threat(L2, budgets)))


def many(count=REPETITIONS):
    return Inputs(torch.arange(count), {"image": torch.zeros(count, 1)})


def rows(prover, inputs, chosen):
    """Rows of each head, for inputs whose chosen children are given."""
    claims = [Claim(inputs[k : k + 1], {head: int(chosen[head][k]) for head in chosen}) for k in range(len(inputs))]
    found = {proof.index: proof.rows for proof in prover.prove(claims)}
    return {head: [found[index][head] for index in inputs.index.tolist()] for head in chosen}


def constant(prover, count, child=0):
    return {head: [child] * count for head in prover.heads}


def miscoverage(probability, draws, alpha):
    """The exact probability that a one-sided lower bound lies above the truth."""
    counts = np.arange(draws + 1)
    wrong = np.array([lower_bound(int(k), draws, alpha) for k in counts]) > probability
    return binom.pmf(counts, draws, probability)[wrong].sum()


PAIR = restricted(parts([0], [1]))
FIVE = restricted(parts([0], [1], [2], [3], [4]))


def chain(nodes):
    """A tree in which every decision parts one label from the rest: `nodes` decisions on the longest path."""
    labels = range(nodes + 1)
    children = {frozenset(labels[k:]): parts([k], labels[k + 1 :]) for k in range(nodes)}
    return grow([f"label {label}" for label in labels], children)


def _certificates(head, found, alpha):
    own = torch.tensor([row.own for row in found], dtype=torch.float64)
    radii = torch.tensor([row.radii for row in found], dtype=torch.float64)
    chosen = torch.tensor([row.chosen for row in found])
    return NodeCertificates(head.children, chosen, own, radii, alpha, Scope(L2, "image", EVERYWHERE))


NEAR = 0.2
"""A radius just above the truth of `SHORT`."""
SHORT = float(norm.cdf(NEAR)) - 1e-12

STOPS = {
    "one radius": {"grid": {"radii": [NEAR]}},
    "grid": {"grid": {"radii": [0, 0.1, NEAR, 0.3]}},
    "radius": {"tolerance": 0.1},
}
