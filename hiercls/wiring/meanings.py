"""What the options of a component mean, from the docstrings of the classes that own them."""

import re
from collections.abc import Iterator, Mapping
from inspect import cleandoc, getdoc
from typing import Any, get_args

from pydantic import BaseModel

_SECTION = re.compile(r"^Attributes:\n((?: .*\n?|\n)+)", re.MULTILINE)
_ENTRY = re.compile(r"^ {4}(\w+(?:, \w+)*): ", re.MULTILINE)


def purpose(model: type[BaseModel]) -> str:
    """The docstring of a class, without what it says of single options."""
    return _SECTION.sub("", getdoc(model) or "").rstrip()


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """What each option of a model means; nothing of an option that no text speaks of.

    The `Attributes:` of the class itself are asked first, then those of the classes that it inherits from, then the
    option's own description, at last the docstring of the nested value.
    """
    found = {name: field.description or _nested(field.annotation) for name, field in model.model_fields.items()}
    for kind in reversed(model.__mro__):
        found |= _attributes(kind)
    return {name: found[name] for name in model.model_fields if found[name]}


def _nested(annotation: Any) -> str:
    """What the first model is that a value of this annotation may be; empty where it is none or says nothing."""
    return next((" ".join(_SECTION.sub("", _own(model)).split()) for model in models_in(annotation)), "")


def _own(kind: type) -> str:
    """The docstring of a class, not one that it inherits."""
    return cleandoc(vars(kind).get("__doc__") or "")


def _attributes(kind: type) -> dict[str, str]:
    """The entries of a class's `Attributes:`; several names before one colon share its text."""
    section = _SECTION.search(_own(kind))
    if section is None:
        return {}
    _, *parts = _ENTRY.split(section[1])
    entries: Mapping[str, str] = dict(zip(parts[::2], parts[1::2], strict=True))
    return {name: " ".join(text.split()) for names, text in entries.items() for name in names.split(", ")}


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that a value of this annotation may be, through unions and containers."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)
