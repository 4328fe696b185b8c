"""A recipe as YAML again, every default written out."""

from collections.abc import Mapping
from io import StringIO
from typing import Any

from pydantic import BaseModel
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from hiercls.contracts.components import Certifier, Component
from hiercls.wiring.specs import ComposedSpec, NetworkSpec, written_threat
from hiercls.wiring.yaml_source import FRACTION
from hiercls.words.threats import Threat

Names = Mapping[type[Component], str]


def as_yaml(recipe: BaseModel, names: Names) -> str:
    """A recipe that reads back as an equal one."""
    yaml = YAML()
    yaml.width = 4096
    text = StringIO()
    yaml.dump(_quoted(_written(recipe, names)), text)
    return text.getvalue()


def component_document(component: Component, names: Names) -> dict[str, Any]:
    """A component as a YAML writes it: its name and all of its options."""
    return {names[type(component)]: component.model_dump(mode="json")}


def _written(value: Any, names: Names) -> Any:
    if isinstance(value, Component):
        return component_document(value, names)
    if isinstance(value, Threat):
        return written_threat(value)
    if isinstance(value, BaseModel):
        entries = {key: _written(getattr(value, key), names) for key in type(value).model_fields}
        written = {key: entry for key, entry in entries.items() if entry is not None}
        return {**written, "certifier": "none"} if _uncertified(value) else written
    if isinstance(value, Mapping):
        return {key: _written(entry, names) for key, entry in value.items()}
    return [_written(item, names) for item in value] if isinstance(value, (list, tuple)) else value


def _uncertified(value: BaseModel) -> bool:
    """Without the word `none`, the trainer's suggestion would come back, and a composed network would lack the key."""
    return isinstance(value, ComposedSpec | NetworkSpec) and not isinstance(value.certifier, Certifier)


def _quoted(value: Any) -> Any:
    """Text that looks like a fraction is quoted, so that it stays text."""
    if isinstance(value, dict):
        return {key: _quoted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_quoted(item) for item in value]
    return DoubleQuotedScalarString(value) if isinstance(value, str) and FRACTION.fullmatch(value) else value
