"""Runs of sequential modes on draws of known probabilities, and how often they may err."""

import numpy as np
from scipy.stats import binom

from hiercls_plugins.smoothing.sequential import Decision

ALPHA = 0.05
REPETITIONS = 10_000
SURE = 1e-6
"""How seldom a test may fail by bad luck under another seed."""


def at_most(errors, level=ALPHA, count=REPETITIONS):
    return errors <= binom.isf(SURE, count, level)


def above(errors, level=ALPHA, count=REPETITIONS):
    return errors > binom.isf(SURE, count, level)


def drive(mode, probabilities, seed=0, start=None):
    """Run a mode on counts of given probabilities, as an engine does: decided inputs are drawn for no more."""
    generator = np.random.default_rng(seed)
    probabilities = np.asarray(probabilities)
    counts, state = np.zeros(probabilities.shape, np.int64), mode.start(*probabilities.shape)
    used = np.zeros(len(probabilities), np.int64)
    decided, alive, drawn = np.zeros(len(probabilities), np.int64), np.arange(len(probabilities)), 0
    for at, look in enumerate(mode.looks):
        counts[alive] += generator.binomial(look - drawn, probabilities[alive])
        decisions, state[alive] = mode.look(at, counts[alive], state[alive])
        used[alive], decided[alive], drawn = look, decisions, look
        alive = alive[decisions == Decision.GO_ON]
    assert len(alive) == 0
    return state, decided, counts, used
