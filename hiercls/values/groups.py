"""Trees as people write them: nested groups of label names, as in a YAML."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from hiercls.values.labels import LabelTree, Node, grow
from hiercls.words.errors import ConfigurationError

WHERE = "tree.groups"


def tree_from_groups(labels: Sequence[str], groups: Any) -> LabelTree:
    """The tree that nested groups describe; every label stands in it exactly once.

    A group is a mapping of names to groups, a list of groups, or one label. A group of one child is that
    child: `octagon: [stop]` and `octagon: stop` are the leaf of `stop` under the name `octagon`, and the
    list item `- pets: [cat, dog]` is a named child beside unnamed ones. Whole numbers are read as text,
    so that digits need no quotes.

    Raises:
        ConfigurationError: a label twice, missing or unknown, an empty group, two names for one group, or
            what is neither a group nor a label.
    """
    reader = _Reader({label: k for k, label in enumerate(labels)})
    root = reader.read(groups, WHERE)
    missing = [label for k, label in enumerate(labels) if k not in root]
    if missing:
        raise ConfigurationError(f"{WHERE}: {_listed(missing)} in no group; every label stands in exactly one")
    if len(root) < 2:
        raise ConfigurationError(f"{WHERE}: a tree needs at least two labels")
    return grow(labels, reader.children, reader.names)


def groups_of(tree: LabelTree) -> Any:
    """The nested groups that `tree_from_groups` reads back as this tree, names included."""
    found: dict[Node, Any] = {tree.leaf(label): name for label, name in enumerate(tree.labels)}
    for node in reversed(tree.decisions):
        found[node] = _group(tree, [(tree.names.get(child), found.pop(child)) for child in tree.children(node)])
    groups = found[tree.root]
    return {tree.names[tree.root]: groups} if tree.root in tree.names else groups


def _group(tree: LabelTree, parts: list[tuple[str | None, Any]]) -> Any:
    names = [name for name, _ in parts if name is not None]
    if len(names) == len(parts):
        return dict(parts)
    return [part if name is None else {name: part} for name, part in parts]


@dataclass(frozen=True)
class _Reader:
    """Collects the nodes of nested groups, and where each label was met."""

    index: Mapping[str, int]
    children: dict[Node, list[Node]] = field(default_factory=dict)
    names: dict[Node, str] = field(default_factory=dict)
    met: dict[int, str] = field(default_factory=dict)

    def read(self, group: Any, where: str) -> Node:
        if isinstance(group, Mapping):
            return self._join([self._named(str(name), part, where) for name, part in group.items()], where)
        if isinstance(group, Sequence) and not isinstance(group, str):
            return self._join([self.read(part, where) for part in group], where)
        return self._leaf(group, where)

    def _named(self, name: str, part: Any, where: str) -> Node:
        node = self.read(part, f"{where}.{name}")
        if node in self.names:
            raise ConfigurationError(f"{where}: {self.names[node]!r} and {name!r} name the same labels; keep one name")
        self.names[node] = name
        return node

    def _join(self, parts: list[Node], where: str) -> Node:
        if not parts:
            raise ConfigurationError(f"{where}: an empty group; name at least one label")
        if len(parts) > 1:
            node = frozenset().union(*parts)
            self.children[node] = parts
            return node
        return parts[0]

    def _leaf(self, label: Any, where: str) -> Node:
        if not isinstance(label, (str, int)) or isinstance(label, bool):
            raise ConfigurationError(f"{where}: found {label!r}; write a label, a list or a mapping of groups")
        if str(label) not in self.index:
            raise ConfigurationError(f"{where}: unknown label {str(label)!r}; {_suggestion(str(label), self.index)}")
        place = self.index[str(label)]
        if place in self.met:
            found = "twice" if self.met[place] == where else f"also in {self.met[place]}"
            raise ConfigurationError(f"{where}: label {str(label)!r} stands {found}; keep one of the two")
        self.met[place] = where
        return frozenset((place,))


def _suggestion(found: str, labels: Iterable[str]) -> str:
    known = list(labels)
    if close := get_close_matches(found, known, n=1):
        return f"did you mean {close[0]!r}?"
    return f"the labels are {', '.join(_shortened(known))}"


def _shortened(labels: Sequence[str], most: int = 12) -> Iterator[str]:
    yield from labels[:most]
    if len(labels) > most:
        yield f"and {len(labels) - most} more"


def _listed(labels: Sequence[str]) -> str:
    if len(labels) == 1:
        return f"label {labels[0]!r} stands"
    return f"labels {', '.join(_shortened([repr(label) for label in labels]))} stand"
