"""Trees as text, Mermaid, JSON and SVG: how they are drawn and stored."""

import json
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given, settings
from label_toys import named_trees, same

from hiercls.values.drawing import as_json, as_mermaid, as_svg, as_text, from_json
from hiercls.values.groups import tree_from_groups
from hiercls.values.labels import LabelTree, flat_tree
from hiercls.words.errors import ConfigurationError, DataError


def test_text():
    tree = tree_from_groups("abcd", {"left": ["a", "b"], "octagon": "c", "x": ["d"]})
    assert as_text(tree) == "root\n├─ left\n│  ├─ a\n│  └─ b\n├─ octagon: c\n└─ x: d"


def test_groups_without_a_name_are_drawn_by_their_size():
    assert as_text(tree_from_groups("abc", [["a", "b"], "c"])) == "root\n├─ 2 labels\n│  ├─ a\n│  └─ b\n└─ c"


def test_mermaid_has_a_node_and_an_edge_for_each_and_escapes_signs():
    drawn = as_mermaid(tree_from_groups(['say "a"', "b", "c"], {"<x>": ['say "a"', "b"], "y": "c"}))
    assert drawn.splitlines() == [
        "flowchart LR",
        '    n0["root"]',
        '    n1["#60;x#62;"]',
        '    n2(["y: c"])',
        '    n3(["say #34;a#34;"])',
        '    n4(["b"])',
        "    n0 --> n1",
        "    n0 --> n2",
        "    n1 --> n3",
        "    n1 --> n4",
    ]


@settings(max_examples=30, deadline=None)
@given(named_trees())
def test_json_comes_back_exactly(tree: LabelTree):
    assert same(from_json(as_json(tree)), tree)
    assert as_json(from_json(as_json(tree))) == as_json(tree)


def test_json_is_readable_by_others():
    stored = json.loads(as_json(tree_from_groups(["ä", "b", "c"], {"x": ["ä", "b"], "c": "c"})))
    assert stored["labels"] == ["ä", "b", "c"]
    assert stored["nodes"][1] == {"labels": [0, 1], "parent": 0, "name": "x"}


@pytest.mark.parametrize(
    "text", ["", "[]", '{"labels": ["a"]}', '{"labels": [], "nodes": [{"labels": [0], "parent": 4}]}']
)
def test_what_is_no_stored_tree_is_a_data_error(text: str):
    with pytest.raises(DataError, match="not a stored tree"):
        from_json(text)


def test_a_stored_tree_that_cannot_be_is_refused():
    stored = json.loads(as_json(flat_tree("abc")))
    del stored["nodes"][3]
    with pytest.raises(ConfigurationError, match="do not partition"):
        from_json(json.dumps(stored))


@settings(max_examples=20, deadline=None)
@given(named_trees())
def test_svg_stands_alone_and_shows_every_node_inside_its_frame(tree: LabelTree):
    drawn = ElementTree.fromstring(as_svg(tree))
    space = "{http://www.w3.org/2000/svg}"
    width, height = float(drawn.get("width")), float(drawn.get("height"))
    texts = list(drawn.iter(f"{space}text"))
    assert len(texts) == len(list(tree))
    assert all(0 < float(text.get("x")) < width and 0 < float(text.get("y")) < height for text in texts)
    leaves = [float(text.get("y")) for text in texts if text.get("text-anchor") is None]
    assert len(leaves) == len(tree.labels)
    assert min(b - a for a, b in zip(sorted(leaves), sorted(leaves)[1:], strict=False)) >= 20
    assert "href" not in as_svg(tree)


def test_svg_escapes_names():
    assert "&lt;b&gt; &amp; c" in as_svg(flat_tree(["a", "<b> & c"]))
