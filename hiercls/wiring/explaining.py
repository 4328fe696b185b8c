"""Pydantic's findings in the words of a YAML: where, what was found, what would be right."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hiercls.wiring.expected import known_options, meaning, wanted_list
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
                problems.at_key(source.at(place), f"unknown option; {known_options(cls, found['loc'], key)}")
            elif asked := wanted_list(cls, found):
                there = source.at(place)
                problems.add(there, f"found {there.text or there.plain()}; {asked}")
            elif found["type"] == "missing":
                problems.add(source.at(place), f"{found['loc'][-1]} is missing{meaning(cls, found['loc'])}")
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


def _quoted_number(value: Any) -> bool:
    """Whether a text would be a number if it were not quoted."""
    return isinstance(value, str) and bool(FRACTION.fullmatch(value) or _NUMBER.fullmatch(value))


def _right(found: ErrorDetails) -> str:
    if known := _RIGHT.get(found["type"]):
        return known(found.get("ctx", {}))
    message = found["msg"].removeprefix("Input should be ").removeprefix("Input should ")
    return message[:1].lower() + message[1:]
