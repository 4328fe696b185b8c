"""Which entry of `nodes:` speaks of which node, and how several of them merge."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from hiercls.values.labels import LabelTree, Node
from hiercls.wiring.merging import amend_decision, decider
from hiercls.wiring.problems import Problems, suggestion
from hiercls.wiring.yaml_source import Located

RESERVED = ("all", "inner", "last", "root")
_ORDER = ("all", "inner", "last", "level", "root", "glob", "exact")
_LEVEL = re.compile(r"level (\d+)")
_DECIDING = ("trainer", "restrict")
OF_ITS_OWN = ("architecture", "trainer", "init")
"""What only a network that is trained has."""


def names_on_path(tree: LabelTree, node: Node) -> tuple[str, ...]:
    """The names from below the root down to a node; they are joined by `/` in a selector."""
    return tuple(tree.name(above) for above in tree.path(node)[1:])


def path_name(tree: LabelTree, node: Node) -> str:
    return "/".join(names_on_path(tree, node)) or "root"


def strength(selector: str, tree: LabelTree, node: Node) -> int | None:
    """How strongly a selector speaks of a node; None if it does not."""
    kind = _kind(selector, tree, node)
    return None if kind is None else _ORDER.index(kind)


def _kind(selector: str, tree: LabelTree, node: Node) -> str | None:
    last = all(len(child) == 1 for child in tree.children(node))
    speaks = {"all": True, "last": last, "inner": not last and node != tree.root, "root": node == tree.root}
    if selector in speaks:
        return selector if speaks[selector] else None
    if level := _LEVEL.fullmatch(selector):
        return "level" if tree.level(node) == int(level[1]) else None
    names = names_on_path(tree, node)
    if selector == "/".join(names):
        return "exact"
    return "glob" if names and _glob(selector.split("/"), names) else None


def _glob(patterns: Sequence[str], names: Sequence[str]) -> bool:
    """Whether each name on the path fits its pattern; `*` is any one name, `**` any number of them."""
    if not patterns:
        return not names
    if patterns[0] == "**":
        return any(_glob(patterns[1:], names[k:]) for k in range(len(names) + 1))
    return bool(names) and fnmatchcase(names[0], patterns[0]) and _glob(patterns[1:], names[1:])


def unmatched(tree: LabelTree, nodes: Located, problems: Problems) -> None:
    """Tell every selector that speaks of no node, and which there are that do."""
    right = [selector for selector in _selectors(tree) if _speaks(selector, tree)]
    deepest = max(tree.level(node) for node in tree.decisions)
    levels = f"levels are 0 to {deepest}" if deepest else "only level is 0"
    for selector, entry in nodes.items.items():
        if not _speaks(selector, tree):
            told = f"matches no node of the tree, whose {levels}; {suggestion(selector, right, 'to be named')}"
            problems.at_key(entry, told)


def _selectors(tree: LabelTree) -> dict[str, None]:
    """The words and the paths by which nodes may be named; a word may speak of none."""
    return dict.fromkeys([*RESERVED, *(path_name(tree, node) for node in tree.decisions)])


def _speaks(selector: str, tree: LabelTree) -> bool:
    return any(strength(selector, tree, node) is not None for node in tree.decisions)


def select(tree: LabelTree, nodes: Located, problems: Problems) -> dict[Node, Located]:
    """The merged entry of every decision, weakest selector first; the order in the file never matters."""
    return {node: _merged(tree, node, nodes, problems) for node in tree.decisions}


def _merged(tree: LabelTree, node: Node, nodes: Located, problems: Problems) -> Located:
    levels = {name: strength(name, tree, node) for name in nodes.items}
    speaking = sorted((level, name) for name, level in levels.items() if level is not None)
    for k, (level, name) in enumerate(speaking):
        for rival in [other for other_level, other in speaking[:k] if other_level == level]:
            _tell_conflict(path_name(tree, node), nodes[rival], nodes[name], problems)
    return _folded(nodes, [nodes[name] for _, name in speaking], problems)


def _tell_conflict(node: str, one: Located, two: Located, problems: Problems) -> None:
    """Two equally strong entries that set one key; `trainer` and `restrict` both say what decides."""
    first, second = sorted((one, two), key=lambda entry: entry.key or entry.mark)
    for key, item in second.items.items():
        for rival in _DECIDING if key in _DECIDING else (key,):
            if rival in first:
                problems.at_key(
                    item,
                    f"{first.path[-1]!r} at {first[rival].key} speaks as strongly of node {node!r} "
                    f"and sets {rival!r} too; name the node by its path",
                )


def _folded(nodes: Located, ordered: Sequence[Located], problems: Problems) -> Located:
    """The entries merged key by key. The strongest that names `trainer` or `restrict` decides which it is."""
    merged = nodes.with_items({})
    since: list[Located] = []
    for entry in ordered:
        merged = amend_decision(merged, entry)
        if named := decider(entry):
            merged = merged.without("trainer" if named[0] == "restrict" else "restrict")
            since = []
        since.append(entry)
    if "restrict" not in merged:
        return merged
    for entry in since:
        tell_own_network(merged["restrict"], entry, problems)
    return merged.without(*OF_ITS_OWN)


def tell_own_network(restrict: Located, entry: Located, problems: Problems) -> None:
    """Tell what an entry says of a network of the node's own, which a restricted node does not have."""
    for key in OF_ITS_OWN:
        if key in entry:
            text = f"a node restricted from {restrict.text!r} has no {key} of its own; remove one of the two"
            problems.at_key(entry[key], text)
