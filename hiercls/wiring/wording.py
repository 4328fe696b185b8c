"""A component in words: its name in the YAML, and what was chosen of its options."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from hiercls.contracts.components import Component
from hiercls.wiring.contents import Recipe


def described(recipe: Recipe, component: Component | None) -> str:
    """A component's name, and its options that differ from what a YAML that leaves them out would mean."""
    if component is None:
        return "none"
    (name,) = recipe.document(component)
    return named(name, changed_options(component))


def changed_options(given: BaseModel, usual: BaseModel | None = None) -> dict[str, Any]:
    """The options that differ from their defaults, in JSON's types.

    A nested value is compared field by field with the default of the option that holds it. A trainer's schedule is
    thus compared with that trainer's, and not with the defaults of every schedule.

    Args:
        usual: what to compare with; None for the defaults of the class.
    """
    written = given.model_dump(mode="json")
    changed: dict[str, Any] = {}
    for name, field in type(given).model_fields.items():
        value = getattr(given, name)
        default = getattr(usual, name) if usual is not None else field.get_default(call_default_factory=True)
        if value != default:
            changed[name] = _changes(value, default) if isinstance(value, BaseModel) else written[name]
    return changed


def _changes(value: BaseModel, default: Any) -> dict[str, Any]:
    return changed_options(value, default if type(default) is type(value) else None)


def named(name: str, options: Mapping[str, Any]) -> str:
    """A name, with its options behind it if there are any.

    >>> named("standard", {"schedule": {"epochs": 8, "decay": {"at": [4.0, 6.0]}}})
    'standard (schedule (epochs 8, decay (at [4.0, 6.0])))'
    """
    return f"{name} ({in_words(options)})" if options else name


def in_words(options: Mapping[str, Any]) -> str:
    """Options on one line; those of a nested value stand in brackets behind its name."""
    return ", ".join(
        named(name, value) if isinstance(value, Mapping) else f"{name} {value_in_words(value)}"
        for name, value in options.items()
    )


def value_in_words(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:.4g}" if isinstance(value, float) else json.dumps(value)
