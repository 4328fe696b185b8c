"""Trees: what they refuse, how people write them, how they are cut."""

import networkx as nx
import pytest
from brute_force import trees
from hypothesis import given, settings
from hypothesis import strategies as st
from label_toys import named_trees, same

from hiercls.values.drawing import as_json, from_json
from hiercls.values.groups import groups_of, tree_from_groups
from hiercls.values.labels import LabelTree, Node, flat_tree, grow
from hiercls.values.truncation import truncate_depth, truncate_equal
from hiercls.words.errors import ConfigurationError

LABELS = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
GROUPS = {
    "living": {"pets": ["cat", "dog"], "hoofed": ["deer", "horse"], "others": ["bird", "frog"]},
    "vehicles": ["airplane", "automobile", "ship", "truck"],
}


def of(*labels: int) -> Node:
    return frozenset(labels)


class TestTree:
    def test_paths_levels_and_children(self):
        tree = tree_from_groups(LABELS, GROUPS)
        pets = of(3, 5)
        assert tree.path(of(3)) == (tree.root, of(2, 3, 4, 5, 6, 7), pets, of(3))
        assert [tree.level(node) for node in tree.path(of(3))] == [0, 1, 2, 3]
        assert tree.depth == 3
        assert tree.children(pets) == (of(3), of(5))
        assert tree.parent(pets) == of(2, 3, 4, 5, 6, 7)
        assert tree.parent(tree.root) is None
        assert tree.path(tree.root) == (tree.root,)

    def test_children_stand_in_the_order_of_their_smallest_label(self):
        tree = grow("abcd", {of(0, 1, 2, 3): [of(2, 3), of(0, 1)], of(0, 1): [of(1), of(0)], of(2, 3): [of(3), of(2)]})
        assert tree.partition() == [[0, 1], [2, 3]]
        assert tree.decisions == (of(0, 1, 2, 3), of(0, 1), of(2, 3))

    @settings(max_examples=50, deadline=None)
    @given(trees(most=9))
    def test_parents_come_before_their_children(self, tree: LabelTree):
        order = list(tree)
        assert sorted(order, key=tree.level) == order
        for node in tree.decisions:
            first = order.index(tree.children(node)[0])
            assert tuple(order[first : first + len(tree.children(node))]) == tree.children(node)
        assert {node for node in tree if len(node) > 1} == set(tree.decisions)
        for node in tree.decisions:
            assert frozenset().union(*tree.children(node)) == node
            assert all(
                tree.level(child) == tree.level(node) + 1 == len(tree.path(child)) - 1 for child in tree.children(node)
            )

    def test_nodes_without_a_name_are_told_by_their_labels(self):
        tree = tree_from_groups(LABELS, [["cat", "dog"], {"rest": [x for x in LABELS if x not in ("cat", "dog")]}])
        assert tree.name(of(3, 5)) == "[cat, dog]"
        assert tree.name(tree.root) == "root"
        assert tree.name(of(3)) == "cat"

    def test_many_labels_without_a_name_are_shortened(self):
        tree = LabelTree(
            tuple("abcdef"),
            nx.DiGraph(
                [(of(0, 1, 2, 3, 4, 5), of(0, 1, 2, 3)), (of(0, 1, 2, 3, 4, 5), of(4, 5))]
                + [(of(0, 1, 2, 3), of(label)) for label in range(4)]
                + [(of(4, 5), of(label)) for label in (4, 5)]
            ),
        )
        assert tree.short_name(of(0, 1, 2, 3)) == "[a, b, … 4 labels]"
        assert tree.short_name(of(4, 5)) == "[e, f]"
        assert tree.short_name(tree.root) == "root"

    @pytest.mark.parametrize(
        ("children", "message"),
        [
            ({of(0, 1, 2): [of(0), of(1)]}, "children of root do not partition it"),
            ({of(0, 1, 2): [of(0, 1), of(1, 2)]}, "children of root do not partition it"),
            ({of(0, 1, 2): [of(), of(0), of(1), of(2)]}, "children of root do not partition it"),
            ({of(0, 1, 2): [of(0, 1, 2)]}, "children of root do not partition it"),
            ({of(0, 1, 2): [of(0, 1), of(2)]}, r"\[a, b\] holds several labels but no classifier decides"),
            ({of(0, 1): [of(0), of(1)]}, "not a tree from the set of all labels"),
            (
                {of(0, 1, 2, 3): [of(0, 1, 2), of(3)], of(0, 1, 2): [of(0), of(1), of(2)]},
                "not a tree from the set of all labels",
            ),
        ],
    )
    def test_what_is_no_tree_of_partitions_is_refused(self, children, message: str):
        with pytest.raises(ConfigurationError, match=message):
            LabelTree(("a", "b", "c"), nx.DiGraph([(p, c) for p, parts in children.items() for c in parts]))

    def test_two_children_of_one_name_are_refused(self):
        with pytest.raises(ConfigurationError, match="two children of root are called 'c'"):
            tree_from_groups("abc", [{"c": ["a", "b"]}, "c"])

    def test_a_chain_of_a_thousand_labels_is_no_burden(self):
        tree = chain(1000)
        assert tree.depth == 999
        assert len(tree.path(of(999))) == 1000
        nested = tree.partition()
        for label in range(998):
            assert nested[0] == label
            nested = nested[1]
        assert nested == [998, 999]
        assert same(from_json(as_json(tree)), tree)
        assert truncate_depth(tree, 2).depth == 3


def chain(count: int) -> LabelTree:
    return grow(
        [f"label {k}" for k in range(count)],
        {frozenset(range(k, count)): [of(k), frozenset(range(k + 1, count))] for k in range(count - 1)},
    )


class TestGroups:
    def test_nested_mappings_name_the_nodes(self):
        tree = tree_from_groups(LABELS, GROUPS)
        assert tree.names == {
            of(2, 3, 4, 5, 6, 7): "living",
            of(3, 5): "pets",
            of(4, 7): "hoofed",
            of(2, 6): "others",
            of(0, 1, 8, 9): "vehicles",
        }
        assert tree.partition() == [[0, 1, 8, 9], [[2, 6], [3, 5], [4, 7]]]

    def test_lists_of_lists_and_uneven_depth(self):
        assert tree_from_groups("abcde", ["a", ["b", ["c", "d"]], "e"]).partition() == [0, [1, [2, 3]], 4]

    def test_a_group_of_one_label_is_that_leaf_under_the_groups_name(self):
        for octagon in (["stop"], "stop"):
            tree = tree_from_groups(["yield", "stop", "go"], {"octagon": octagon, "rest": ["yield", "go"]})
            assert tree.partition() == [[0, 2], 1]
            assert tree.name(of(1)) == "octagon"

    def test_named_and_unnamed_groups_stand_side_by_side_in_a_list(self):
        tree = tree_from_groups("abcde", [{"left": ["a", "b"]}, ["c", "d"], "e"])
        assert tree.names == {of(0, 1): "left"}
        assert tree.partition() == [[0, 1], [2, 3], 4]

    def test_whole_numbers_are_read_as_text(self):
        tree = tree_from_groups([str(k) for k in range(4)], {"even": [0, 2], 1: [1, "3"]})
        assert tree.names == {of(0, 2): "even", of(1, 3): "1"}

    @settings(max_examples=80, deadline=None)
    @given(named_trees())
    def test_written_groups_read_back_as_the_same_tree(self, tree: LabelTree):
        assert same(tree_from_groups(tree.labels, groups_of(tree)), tree)

    def test_the_order_in_a_file_never_matters(self):
        backwards = {"vehicles": GROUPS["vehicles"][::-1], "living": dict(reversed(GROUPS["living"].items()))}
        assert same(tree_from_groups(LABELS, backwards), tree_from_groups(LABELS, GROUPS))

    @pytest.mark.parametrize(
        ("groups", "message"),
        [
            (["a", "b"], "tree.groups: label 'c' stands in no group; every label stands in exactly one"),
            (["a"], "tree.groups: labels 'b', 'c' stand in no group; every label stands in exactly one"),
            (
                {"x": ["a", "b"], "y": ["b", "c"]},
                "tree.groups.y: label 'b' stands also in tree.groups.x; keep one of the two",
            ),
            (["a", "b", "c", "c"], "tree.groups: label 'c' stands twice; keep one of the two"),
            ({"x": ["a", "aa"]}, "tree.groups.x: unknown label 'aa'; did you mean 'a'?"),
            ({"x": ["a", "zzz"]}, "tree.groups.x: unknown label 'zzz'; the labels are a, b, c"),
            ({"x": ["a", "b"], "y": []}, "tree.groups.y: an empty group; name at least one label"),
            ({"x": {"y": {}}}, "tree.groups.x.y: an empty group; name at least one label"),
            ({"x": None}, "tree.groups.x: found None; write a label, a list or a mapping of groups"),
            ([True, "b", "c"], "tree.groups: found True; write a label, a list or a mapping of groups"),
            (
                {"x": {"y": ["a", "b"]}, "z": "c"},
                "tree.groups: 'y' and 'x' name the same labels; keep one name",
            ),
        ],
    )
    def test_a_mistake_is_told_in_one_sentence(self, groups, message: str):
        with pytest.raises(ConfigurationError) as told:
            tree_from_groups("abc", groups)
        assert str(told.value) == message

    def test_one_label_is_no_tree(self):
        with pytest.raises(ConfigurationError, match="at least two labels"):
            tree_from_groups(["a"], ["a"])


class TestTruncation:
    def test_decisions_above_the_depth_stay_and_one_decides_the_rest(self):
        tree = tree_from_groups(LABELS, GROUPS)
        assert truncate_depth(tree, 0).partition() == flat_tree(LABELS).partition()
        cut = truncate_depth(tree, 1)
        assert cut.partition() == [[0, 1, 8, 9], [2, 3, 4, 5, 6, 7]]
        assert cut.names == {of(0, 1, 8, 9): "vehicles", of(2, 3, 4, 5, 6, 7): "living"}
        assert same(truncate_depth(tree, 2), tree)
        assert same(truncate_depth(tree, 7), tree)

    @settings(max_examples=50, deadline=None)
    @given(named_trees(), st.integers(0, 5))
    def test_a_tree_cut_at_a_depth_has_at_most_one_more_level_of_decisions(self, tree: LabelTree, depth: int):
        cut = truncate_depth(tree, depth)
        assert cut.depth == min(tree.depth, depth + 1)
        kept = {node for node in tree.decisions if tree.level(node) <= depth}
        assert set(cut.decisions) == kept
        for node in kept:
            expected = tree.children(node) if tree.level(node) < depth else tuple(of(label) for label in sorted(node))
            assert cut.children(node) == expected

    def test_a_negative_depth_is_refused(self):
        with pytest.raises(ConfigurationError, match="found -1; write 0 or more"):
            truncate_depth(flat_tree("ab"), -1)

    @settings(max_examples=50, deadline=None)
    @given(named_trees(), st.data())
    def test_every_largest_subtree_of_one_criterion_is_one_decision(self, tree: LabelTree, data: st.DataObject):
        criterion = {node: data.draw(st.sampled_from("xy")) for node in tree.decisions}
        cut = truncate_equal(tree, criterion.__getitem__)

        def agrees(node: Node) -> bool:
            return len({criterion[other] for other in tree.decisions if other <= node}) == 1

        for node in tree.decisions:
            below = any(agrees(above) for above in tree.path(node)[:-1])
            assert (node in set(cut.decisions)) == (not below)
            if not below:
                leaves = tuple(of(label) for label in sorted(node))
                assert cut.children(node) == (leaves if agrees(node) else tree.children(node))

    def test_names_of_nodes_that_are_gone_are_forgotten(self):
        tree = tree_from_groups(LABELS, GROUPS)
        assert set(truncate_equal(tree, lambda node: "same").names) == set()
