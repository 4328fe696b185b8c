"""YAML with the position of every key and value."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from hiercls.words.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from hiercls.wiring.problems import Problems

FRACTION = re.compile(r"([-+]?\d+(?:\.\d+)?)\s*/\s*(\d+(?:\.\d+)?)")
_MERGE = "<<"


@dataclass(frozen=True, order=True)
class Mark:
    """A position in a file, lines and columns counted from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Located:
    """A value of a YAML with its position.

    Attributes:
        value: a scalar, a tuple of Located, or a dict of names to Located.
        mark: where the value starts.
        path: the keys that lead to it.
        key: where its own key stands; None for items of lists.
        text: a scalar as it was written, for names such as `1` or `no`.
    """

    value: Any
    mark: Mark
    path: tuple[str, ...] = ()
    key: Mark | None = None
    text: str = ""

    def __contains__(self, key: str) -> bool:
        return isinstance(self.value, dict) and key in self.value

    def __getitem__(self, key: str) -> "Located":
        return self.value[key]

    def get(self, key: str) -> "Located | None":
        return self.value.get(key) if isinstance(self.value, dict) else None

    @property
    def items(self) -> "Mapping[str, Located]":
        """The entries of a mapping; none for anything else."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def empty(self) -> bool:
        return self.value is None

    def with_items(self, items: "Mapping[str, Located]") -> "Located":
        return replace(self, value=dict(items))

    def with_item(self, key: str, item: "Located") -> "Located":
        return self.with_items({**self.items, key: item})

    def without(self, *keys: str) -> "Located":
        """A mapping without some of its entries; anything else as it is."""
        return (
            self.with_items({key: item for key, item in self.value.items() if key not in keys}) if self.items else self
        )

    def at(self, keys: Iterable[str | int]) -> "Located":
        """The value that keys and indices lead to; those that lead nowhere are passed over."""
        found = self
        for key in keys:
            found = found._below(key) or found
        return found

    def _below(self, key: str | int) -> "Located | None":
        if isinstance(self.value, tuple):
            return self.value[key] if isinstance(key, int) and key < len(self.value) else None
        return self.items.get(str(key))

    def as_names(self) -> "Located":
        """Every scalar as it was written, so that `1` and `no` are names."""
        if isinstance(self.value, dict):
            return self.with_items({key: item.as_names() for key, item in self.value.items()})
        if isinstance(self.value, tuple):
            return replace(self, value=tuple(item.as_names() for item in self.value))
        return replace(self, value=self.text)

    def plain(self) -> Any:
        """The value without positions."""
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        if isinstance(self.value, tuple):
            return [item.plain() for item in self.value]
        return self.value


def located(plain: Any, mark: Mark, path: tuple[str, ...] = (), key: Mark | None = None) -> Located:
    """A plain value as if it stood in a file."""
    if isinstance(plain, Mapping):
        value: Any = {str(name): located(item, mark, (*path, str(name)), mark) for name, item in plain.items()}
    elif isinstance(plain, (list, tuple)):
        value = tuple(located(item, mark, (*path, str(k))) for k, item in enumerate(plain))
    else:
        value = plain
    return Located(value, mark, path, key, "" if isinstance(value, (dict, tuple)) else str(plain))


def read_yaml(path: Path, problems: "Problems") -> Located:
    """Read one YAML file; duplicated keys are collected in `problems`.

    Raises:
        DataError: the file cannot be read.
        ConfigurationError: it is not YAML, or not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text") from error
    document = parse_yaml(text, str(path), problems)
    if not isinstance(document.value, dict):
        raise ConfigurationError(f"{document.mark}: found no mapping; a recipe is a mapping of keys to values")
    return document


def parse_yaml(text: str, file: str, problems: "Problems", path: tuple[str, ...] = ()) -> Located:
    """Read YAML text; `file` is the name in its positions and `path` stands before its keys."""
    try:
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Mark(file, mark.line + 1, mark.column + 1) if mark else Mark(file)
        raise ConfigurationError(f"{where}: not YAML: {error.problem or error.context}") from error
    except YAMLError as error:
        raise ConfigurationError(f"{Mark(file)}: not YAML: {' '.join(str(error).split())}") from error
    if node is None:
        return Located({}, Mark(file), path)
    return _Positions(file, problems).read(node, path)


@dataclass(frozen=True)
class _Positions:
    """Turns composed nodes into located values."""

    file: str
    problems: "Problems"
    above: frozenset[int] = frozenset()

    def read(self, node: Node, path: tuple[str, ...], key: Mark | None = None) -> Located:
        if id(node) in self.above:
            raise ConfigurationError(f"{self._mark(node)} {'.'.join(path)}: an anchor that holds itself")
        below = replace(self, above=self.above | {id(node)})
        if isinstance(node, MappingNode):
            return Located(below._mapping(node, path), self._mark(node), path, key)
        if isinstance(node, SequenceNode):
            items = tuple(below.read(item, (*path, str(k))) for k, item in enumerate(node.value))
            return Located(items, self._mark(node), path, key)
        return self._scalar(node, path, key)

    def _mapping(self, node: MappingNode, path: tuple[str, ...]) -> dict[str, Located]:
        found: dict[str, Located] = {}
        merged: dict[str, Located] = {}
        for name, value in node.value:
            if not isinstance(name, ScalarNode):
                raise ConfigurationError(f"{self._mark(name)} {'.'.join(path)}: a key must be plain text")
            item = self.read(value, (*path, name.value), self._mark(name))
            if name.value == _MERGE:
                for part in item.value if isinstance(item.value, tuple) else (item,):
                    merged = {**part.items, **merged}
            elif name.value in found:
                first = found[name.value].key
                self.problems.at_key(item, f"found twice; the first stands in line {first.line if first else 0}")
            else:
                found[name.value] = item
        return {**{key: item for key, item in merged.items() if key not in found}, **found}

    def _scalar(self, node: Any, path: tuple[str, ...], key: Mark | None) -> Located:
        found = Located(None, self._mark(node), path, key, node.value)
        try:
            return replace(found, value=_value(str(node.tag).rpartition(":")[2], node.value, node.style is None))
        except (ValueError, ZeroDivisionError):
            self.problems.add(found, f"found {node.value!r}; this is no number")
            return found
        except KeyError:
            self.problems.add(found, f"found the tag {node.tag}; tags are not supported")
            return found

    def _mark(self, node: Node) -> Mark:
        return Mark(self.file, node.start_mark.line + 1, node.start_mark.column + 1)


def _value(tag: str, text: str, bare: bool) -> Any:
    """A scalar of YAML 1.2, and fractions such as 8/255 where they are not quoted."""
    match tag:
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            digits = text.replace("_", "")
            return int(digits) if digits.lstrip("+-").isdigit() else int(digits, 0)
        case "float":
            return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
        case "str" | "timestamp":
            fraction = FRACTION.fullmatch(text) if bare else None
            return float(fraction[1]) / float(fraction[2]) if fraction else text
        case _:
            raise KeyError(tag)
