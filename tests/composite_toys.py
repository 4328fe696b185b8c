"""Two small trees, and systems whose nodes are restricted or have networks of their own."""

from hiercls.values.heads import restricted, retrained
from hiercls.values.labels import grow
from hiercls.whole.plan import Placement, System

LABELS = 6


def of(*labels):
    return frozenset(labels)


# {{0, 3}, 1} against {2, {4, 5}}: groups that interleave, leaves at unequal depth.
LEFT, RIGHT, PAIR, LAST = of(0, 1, 3), of(2, 4, 5), of(0, 3), of(4, 5)
TREE = grow(
    tuple("abcdef"),
    {
        of(*range(LABELS)): [LEFT, RIGHT],
        LEFT: [PAIR, of(1)],
        PAIR: [of(0), of(3)],
        RIGHT: [of(2), LAST],
        LAST: [of(4), of(5)],
    },
)


def system(tree, own=()):
    """A tree whose nodes in `own` have networks of their own; all others are restricted from one flat network."""
    nodes = {}
    for node in tree.decisions:
        children = tree.children(node)
        job, head = (tree.name(node), retrained(children)) if node in own else ("flat", restricted(children))
        nodes[node] = Placement(job, head, None, "image")
    return System("tree", tree, nodes)


HALVES = grow(
    ("in", "edge", "far", "farther"),
    {of(0, 1, 2, 3): [of(0, 1), of(2, 3)], of(0, 1): [of(0), of(1)], of(2, 3): [of(2), of(3)]},
)
