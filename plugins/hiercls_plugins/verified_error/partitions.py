"""The label sets between which errors are counted."""

from collections.abc import Iterable, Sequence

from hiercls.values.labels import LabelTree, Node
from hiercls.words.errors import ConfigurationError

FINAL = 2
"""A split below the root of so many labels is final: the question inside a group ends above it."""


def partition(tree: LabelTree, groups: Sequence[Sequence[str]] | None) -> tuple[Node, ...]:
    """The groups as label sets, the root's children where none are given.

    Raises:
        ConfigurationError: a label is unknown, missing or in two groups, or one group holds all.
    """
    if groups is None:
        return tree.children(tree.root)
    place = {label: k for k, label in enumerate(tree.labels)}
    named = [label for group in groups for label in group]
    unknown = sorted(set(named) - set(place))
    missing = sorted(set(place) - set(named))
    twice = sorted({label for label in named if named.count(label) > 1})
    for fault, names in (("no label of this dataset", unknown), ("in no group", missing), ("in two groups", twice)):
        if names:
            raise ConfigurationError(f"verified-error.groups: {names[0]!r} is {fault}; every label is in exactly one")
    found = tuple(frozenset(place[label] for label in group) for group in groups if group)
    if len(found) < 2:
        raise ConfigurationError("verified-error.groups: one group of all labels tells nothing apart; name two or more")
    return found


def inner_splits(tree: LabelTree) -> tuple[Node, ...]:
    """The splits below the root that are not final."""
    return tuple(node for node in tree.decisions if node != tree.root and len(node) > FINAL)


def final_parts(tree: LabelTree) -> tuple[Node, ...]:
    """The partition of the labels that the root and the inner splits tell apart."""
    counted = {tree.root, *inner_splits(tree)}
    return tuple(
        child for node in tree.decisions if node in counted for child in tree.children(node) if child not in counted
    )


def whole_of(part: Node, groups: Iterable[Node]) -> Node:
    """The group that holds a part."""
    return next(group for group in groups if part <= group)
