"""Trees with some names, and when two of them are the same."""

from brute_force import trees
from hypothesis import strategies as st

from hiercls.values.labels import LabelTree


def same(one: LabelTree, other: LabelTree) -> bool:
    known = {node: one.children(node) for node in one} == {node: other.children(node) for node in other}
    return known and one.labels == other.labels and dict(one.names) == dict(other.names)


@st.composite
def named_trees(draw: st.DrawFn) -> LabelTree:
    tree = draw(trees(most=9))
    named = draw(st.sets(st.sampled_from(list(tree))))
    return LabelTree(tree.labels, tree.graph, {node: f"group {k}" for k, node in enumerate(tree) if node in named})
