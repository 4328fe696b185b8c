"""Pydantic's findings in the words of a YAML: where, what was found, what would be right."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hiercls.wiring.meanings import models_in
from hiercls.wiring.problems import Problems, suggestion
from hiercls.wiring.yaml_source import FRACTION, Located

_RIGHT: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "int_type": lambda _: "a whole number",
    "int_parsing": lambda _: "a whole number",
    "int_from_float": lambda _: "a whole number",
    "float_type": lambda _: "a number",
    "float_parsing": lambda _: "a number",
    "finite_number": lambda _: "a finite number",
    "string_type": lambda _: "text",
    "bool_type": lambda _: "true or false",
    "bool_parsing": lambda _: "true or false",
    "literal_error": lambda facts: str(facts["expected"]),
    "enum": lambda facts: str(facts["expected"]),
    "greater_than": lambda facts: f"more than {facts['gt']:g}",
    "greater_than_equal": lambda facts: f"at least {facts['ge']:g}",
    "less_than": lambda facts: f"less than {facts['lt']:g}",
    "less_than_equal": lambda facts: f"at most {facts['le']:g}",
    "list_type": lambda _: "a list",
    "tuple_type": lambda _: "a list",
    "dict_type": lambda _: "a mapping",
    "model_type": lambda _: "a mapping",
    "model_attributes_type": lambda _: "a mapping",
}

_LISTS = {"list_type", "tuple_type"}
_NUMBERS = {"int_type", "float_type"}
_NUMBER = re.compile(r"[-+]?\d[\d_]*(\.\d*)?([eE][-+]?\d+)?")


def explain(
    problems: Problems,
    source: Located,
    cls: type[BaseModel],
    error: ValidationError,
    ignored: Collection[str] = (),
    partial: bool = False,
) -> None:
    """Add each finding to `problems` at its position.

    Args:
        source: the mapping that was validated.
        ignored: entries whose mistakes are told already; no combination with them is judged.
        partial: the options amend others: none is missing, and no combination of them is judged.
    """
    findings = [found for found in error.errors(include_url=False) if not (found["loc"] and found["loc"][0] in ignored)]
    if partial:
        findings = [found for found in findings if found["type"] != "missing"]
    if partial or ignored:
        findings = [found for found in findings if found["loc"]]
    for place, group in _by_place(source, findings).items():
        wanted = []
        for found in group:
            if found["type"] == "extra_forbidden":
                key = str(found["loc"][-1])
                problems.at_key(source.at(place), f"unknown option; {_known(cls, found['loc'], key)}")
            elif wanted_list := _wanted_list(cls, found):
                there = source.at(place)
                problems.add(there, f"found {there.text or there.plain()}; {wanted_list}")
            elif found["type"] == "missing":
                problems.add(source.at(place), f"{found['loc'][-1]} is missing{_meaning(cls, found['loc'])}")
            elif found["type"] in ("value_error", "assertion_error"):
                problems.add(source.at(place), str(found.get("ctx", {}).get("error", found["msg"])))
            else:
                wanted.append(found)
        if wanted and not _told_deeper(place, wanted, findings, source):
            problems.add(source.at(place), _would_be_right(source.at(place), wanted))


def _by_place(source: Located, findings: Sequence[ErrorDetails]) -> dict[tuple[str | int, ...], list[ErrorDetails]]:
    """Findings by the keys that exist in the YAML; the branches of a union meet at one place."""
    found: dict[tuple[str | int, ...], list[ErrorDetails]] = {}
    for finding in findings:
        found.setdefault(tuple(_existing(source, finding["loc"])), []).append(finding)
    return found


def _existing(source: Located, loc: Sequence[str | int]) -> Iterator[str | int]:
    for part in loc:
        below = source.at([part])
        if below is not source:
            yield part
            source = below


def _told_deeper(
    place: tuple[str | int, ...], wanted: Sequence[ErrorDetails], findings: Sequence[ErrorDetails], source: Located
) -> bool:
    """Whether another branch of the same union fits better and says what is wrong inside."""
    mapping = isinstance(source.at(place).value, dict)
    inside = [found for found in findings if found not in wanted]
    return mapping and any(tuple(_existing(source, found["loc"]))[: len(place)] == place for found in inside)


def _would_be_right(place: Located, wanted: Sequence[ErrorDetails]) -> str:
    types = {found["type"] for found in wanted}
    if types <= _LISTS and not isinstance(place.value, dict):
        return f"found {place.text}; write [{place.text}]"
    if types & _NUMBERS and _quoted_number(place.value):
        return f"found {place.plain()!r}; write it without quotes"
    right = dict.fromkeys(_right(found) for found in wanted)
    text = f"found {place.plain()!r}; {' or '.join(right)} would be right"
    literals = [option for found in wanted for option in str(found.get("ctx", {}).get("expected", "")).split("'")[1::2]]
    if isinstance(place.value, str) and literals and "did you mean" in (near := suggestion(place.value, literals)):
        text += f"; {near}"
    return text


def _wanted_list(cls: type[BaseModel], found: ErrorDetails) -> str | None:
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


def _quoted_number(value: Any) -> bool:
    """Whether a text would be a number if it were not quoted."""
    return isinstance(value, str) and bool(FRACTION.fullmatch(value) or _NUMBER.fullmatch(value))


def _right(found: ErrorDetails) -> str:
    if known := _RIGHT.get(found["type"]):
        return known(found.get("ctx", {}))
    message = found["msg"].removeprefix("Input should be ").removeprefix("Input should ")
    return message[:1].lower() + message[1:]


def _known(cls: type[BaseModel], loc: Sequence[str | int], key: str) -> str:
    fields = {name: field for model in _models_at(cls, loc[:-1]) for name, field in model.model_fields.items()}
    holders = [f"`{name}`" for name, field in fields.items() if _holds(field.annotation, key)]
    if holders and key not in fields:
        return f"it stands in {' or '.join(holders)}"
    names = list(fields)
    return suggestion(key, names) if names else "it has no options"


def _holds(annotation: Any, key: str) -> bool:
    return any(key in model.model_fields for model in models_in(annotation))


def _meaning(cls: type[BaseModel], loc: Sequence[str | int]) -> str:
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
