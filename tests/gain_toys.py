"""Margins of a known classifier, gains by their definition, and every binary tree."""

from itertools import combinations
from math import log

import numpy as np

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def drawn(labels, count, seed, noise=0.4, budget=0.8):
    """Margins of a nearest-centre classifier under an adversary, its answers and the truth."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(labels, 3))
    truth = random.integers(labels, size=count)
    points = centres[truth] + noise * random.normal(size=(count, 3))
    logits = -((points[:, None] - centres) ** 2).sum(axis=2)
    apart = np.linalg.norm(centres[:, None] - centres, axis=2)
    return logits[:, :, None] - logits[:, None, :] > budget * apart, logits.argmax(axis=1), truth


def label_set(tree, beats, answer):
    """S by its definition: the answer, and every sibling on its path that is not excluded."""
    found, node = {answer}, tree.root
    while len(node) > 1:
        for child in tree.children(node):
            if answer not in child and not all(any(beats[i, j] for i in node - child) for j in child):
                found |= child
        node = next(child for child in tree.children(node) if answer in child)
    return found


def gains(tree, beats, answer, truth):
    sets = [label_set(tree, one, int(label)) for one, label in zip(beats, answer, strict=True)]
    count = len(tree.labels)
    return [(1 - log(len(held)) / log(count)) * (int(label) in held) for held, label in zip(sets, truth, strict=True)]


def binary_trees(node):
    """The children of all inner nodes, for every binary tree over a set of labels."""
    if len(node) == 1:
        yield {}
        return
    first, *others = sorted(node)
    for size in range(len(others)):
        for kept in combinations(others, size):
            left = frozenset((first, *kept))
            for one in binary_trees(left):
                for other in binary_trees(node - left):
                    yield {**one, **other, _mask(node): (_mask(left), _mask(node - left))}


def _mask(node):
    return sum(1 << label for label in node)
