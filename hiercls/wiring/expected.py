"""What a model expects at a place of a YAML: its options, what they mean, and lists of a fixed length."""

from collections.abc import Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from hiercls.wiring.meanings import models_in
from hiercls.wiring.problems import suggestion


def known_options(cls: type[BaseModel], loc: Sequence[str | int], key: str) -> str:
    """Where an unknown option belongs, or which option it may be.

    Args:
        loc: where it stands, itself last.
    """
    fields = {name: field for model in _models_at(cls, loc[:-1]) for name, field in model.model_fields.items()}
    holders = [f"`{name}`" for name, field in fields.items() if _holds(field.annotation, key)]
    if holders and key not in fields:
        return f"it stands in {' or '.join(holders)}"
    names = list(fields)
    return suggestion(key, names) if names else "it has no options"


def _holds(annotation: Any, key: str) -> bool:
    return any(key in model.model_fields for model in models_in(annotation))


def meaning(cls: type[BaseModel], loc: Sequence[str | int]) -> str:
    """What an option means, behind a colon; empty where nothing is written of it."""
    for model in _models_at(cls, loc[:-1]):
        found = model.model_fields.get(str(loc[-1]))
        if found is not None and found.description:
            return f": {found.description}"
    return ""


def _models_at(cls: type[BaseModel], loc: Sequence[str | int]) -> list[type[BaseModel]]:
    """The models that may stand where `loc` leads, through unions and containers."""
    models = [cls]
    for part in loc:
        named = [model for model in models if model.__name__ == part]
        held = [model.model_fields[str(part)].annotation for model in models if str(part) in model.model_fields]
        if held:
            models = [model for annotation in held for model in models_in(annotation)]
        elif named:
            models = named
    return models


def wanted_list(cls: type[BaseModel], found: ErrorDetails) -> str | None:
    """The list of a fixed length that belongs where a finding is, with its default as the example."""
    loc, missing = found["loc"], found["type"] == "missing"
    if missing and isinstance(loc[-1], int):
        loc = loc[:-1]
    elif found["type"] not in ("tuple_type", "too_long"):
        return None
    for model in _models_at(cls, loc[:-1]):
        field = model.model_fields.get(str(loc[-1]))
        if field is not None and (length := _fixed_length(field.annotation)):
            example = field.default if isinstance(field.default, tuple) else ()
            such = f", such as [{', '.join(_shortest(item) for item in example)}]" if len(example) == length else ""
            return f"write a list of {length}{such}"
    return None


def _fixed_length(annotation: Any) -> int | None:
    """How many entries a tuple has; None for any other type, and for tuples of any length."""
    if get_origin(annotation) in (Union, UnionType):
        rest = [argument for argument in get_args(annotation) if argument is not type(None)]
        return _fixed_length(rest[0]) if len(rest) == 1 else None
    return len(get_args(annotation)) if get_origin(annotation) is tuple and ... not in get_args(annotation) else None


def _shortest(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
