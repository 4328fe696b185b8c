"""The groups of a YAML, checked label by label so that every mistake has its position."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hiercls.values.groups import tree_from_groups
from hiercls.values.labels import LabelTree
from hiercls.wiring.problems import Problems, listed, suggestion
from hiercls.wiring.selectors import RESERVED
from hiercls.wiring.yaml_source import Located
from hiercls.words.errors import ConfigurationError


def written_tree(labels: Sequence[str], groups: Located, problems: Problems) -> LabelTree | None:
    """The tree of `groups`, or None after telling what is wrong with it."""
    before = len(problems.found)
    reading = _Reading(tuple(labels), problems)
    reading.check(groups)
    if missing := [label for label in labels if label not in reading.met]:
        problems.at_key(groups, f"{listed([repr(label) for label in missing])} in no group; every label stands in one")
    if len(problems.found) > before:
        return None
    try:
        return tree_from_groups(labels, groups.as_names().plain())
    except ConfigurationError as error:
        problems.at_key(groups, str(error).partition(": ")[2])
        return None


def label_set(source: Located, labels: Sequence[str], problems: Problems) -> None:
    """Check a list of labels: each known, none twice, not all of them."""
    reading = _Reading(tuple(labels), problems)
    if not isinstance(source.value, tuple):
        problems.add(source, f"found {source.plain()!r}; a list of labels is right")
        return
    for item in source.value:
        reading.label(item)
    if reading.met.keys() == set(labels):
        problems.at_key(source, "a set of all labels says nothing; leave it out")


@dataclass(frozen=True)
class _Reading:
    """Where each label was met."""

    labels: tuple[str, ...]
    problems: Problems
    met: dict[str, Located] = field(default_factory=dict)

    def check(self, group: Located) -> None:
        for name, item in group.items.items():
            if name in RESERVED or name.startswith("level "):
                self.problems.at_key(item, f"{name!r} means something else in `nodes:`; name the group otherwise")
            self.check(item)
        if isinstance(group.value, tuple):
            for item in group.value:
                self.check(item)
        if group.value in ((), {}):
            self.problems.add(group, "an empty group; name at least one label")
        elif not isinstance(group.value, (dict, tuple)):
            self.label(group)

    def label(self, source: Located) -> None:
        name = source.text
        if not isinstance(source.value, (dict, tuple)) and name in self.met:
            self.problems.add(source, f"label {name!r} stands twice; first at {self.met[name].mark}")
        elif name not in self.labels:
            self.problems.add(source, f"unknown label {name!r}; {suggestion(name, self.labels, 'the labels')}")
        else:
            self.met[name] = source
