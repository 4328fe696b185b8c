"""The certified information gain of any tree, from what one flat network proves on a sample."""

from collections.abc import Sequence

import numpy as np

from hiercls_plugins.certified_gain.shapes import Edge, Shape, edges, members

WORD = 64
KEPT = 2**28
"""Bytes of edges that are remembered; all are forgotten when they are more."""


class Objective:
    """The mean over inputs of 1[truth in S] (1 - ln|S| / ln L), S the labels that a tree does not exclude.

    Nodes are restricted from the flat network, so that every tree gives the flat answer. On its path, a sibling c
    of the child taken is excluded if every label of c is beaten by some label of the node outside c; S holds the
    answer and all labels of the siblings that are not. An edge therefore adds the same labels in every tree that has
    it: what it adds to each input is computed once, when it is first asked for, and a tree is a sum.

    Args:
        beats: (N, L, L) bool; [n, i, j] says that label i has the larger output than j all over the box of input n.
        answer, truth: (N,) label indices.
    """

    def __init__(self, beats: np.ndarray, answer: np.ndarray, truth: np.ndarray):
        self.labels = beats.shape[1]
        rows = np.column_stack([answer, truth, np.packbits(beats.reshape(len(beats), -1), axis=1)])
        _, kept, same = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        self._answer, self._truth = answer[kept], truth[kept]
        self._same = same.reshape(-1)
        self._weights = np.bincount(self._same) / len(beats)
        self._beaten = _words(beats[kept])
        self._flag = 1 << self.labels.bit_length()
        self._table = np.zeros(2 * self._flag)
        sizes = np.arange(1, self.labels + 1)
        self._table[self._flag + sizes] = 1 - np.log(sizes) / np.log(self.labels)
        self._edges: dict[Edge, np.ndarray] = {}

    def gain(self, shape: Shape) -> float:
        return self.value(self.codes(shape))

    def each(self, shape: Shape) -> np.ndarray:
        """The gain of each input, (N,)."""
        return self._table[self.codes(shape)][self._same]

    def value(self, codes: np.ndarray) -> float:
        """The gain of a tree, from what it leaves of each input."""
        return float(self._table[codes] @ self._weights)

    def codes(self, shape: Shape) -> np.ndarray:
        """For each distinct input |S|, plus a flag above all sizes where S holds the truth, (M,)."""
        start = np.where(self._answer == self._truth, 1 + self._flag, 1).astype(np.int16)
        return self._added(start, edges(shape))

    def moved(self, codes: np.ndarray, before: set[Edge], after: set[Edge]) -> np.ndarray:
        """The codes of another tree, from those of one that shares most of its edges."""
        found = self._added(codes.copy(), after - before)
        for edge in before - after:
            found -= self._edge(*edge)
        return found

    def _added(self, codes: np.ndarray, more: set[Edge]) -> np.ndarray:
        for edge in more:
            codes += self._edge(*edge)
        return codes

    def _edge(self, node: int, child: int) -> np.ndarray:
        """What a child adds to S where the node takes another one."""
        found = self._edges.get((node, child))
        if found is None:
            if len(self._edges) * 2 * len(self._answer) > KEPT:
                self._edges.clear()
            found = self._edges[node, child] = self._computed(node & ~child, child)
        return found

    def _computed(self, others: int, child: int) -> np.ndarray:
        inside = members(child)
        beaten = np.zeros((len(inside), len(self._answer)), dtype=bool)
        for word, labels in enumerate(self._beaten):
            some = np.uint64(others >> WORD * word & (1 << WORD) - 1)
            beaten |= (labels[inside] & some) != 0
        comes = self._is_in(others, self._answer) & ~beaten.all(axis=0)
        adds = len(inside) + self._flag * self._is_in(child, self._truth)
        return np.where(comes, adds, 0).astype(np.int16)

    def _is_in(self, node: int, label: np.ndarray) -> np.ndarray:
        held = np.zeros(self.labels, dtype=bool)
        held[members(node)] = True
        return held[label]


def _words(beats: np.ndarray) -> Sequence[np.ndarray]:
    """For each label and input the mask of the labels that beat it, in words: a list of (L, N) uint64."""
    count, labels, _ = beats.shape
    found = []
    for first in range(0, labels, WORD):
        masks = np.zeros((labels, count), dtype=np.uint64)
        for k in range(first, min(first + WORD, labels)):
            masks |= beats[:, k, :].T.astype(np.uint64) << np.uint64(k - first)
        found.append(masks)
    return found
