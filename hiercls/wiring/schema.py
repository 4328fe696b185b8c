"""The JSON schema of a recipe under the loaded plugins, for editors and other programs."""

from typing import Any

from pydantic import TypeAdapter

from hiercls.contracts.components import KINDS, Component
from hiercls.wiring.building import NONE
from hiercls.wiring.contents import Recipe
from hiercls.wiring.registry import Registry
from hiercls.wiring.specs import NodeSpec, ThreatSection
from hiercls.wiring.yaml_source import FRACTION
from hiercls.words.errors import PluginError

Schema = dict[str, Any]
_REF = "#/$defs/{model}"


def json_schema(registry: Registry) -> Schema:
    """What a YAML may hold; components whose modules cannot be imported are left out."""
    schema = Recipe.model_json_schema(ref_template=_REF)
    definitions = schema["$defs"]
    for model in (ThreatSection, NodeSpec):
        found = model.model_json_schema(ref_template=_REF)
        definitions.update(found.pop("$defs", {}))
        definitions[model.__name__] = found
    definitions["Threat"] = definitions.pop("ThreatSection")
    for unwritten in ("Domain", "Norm"):
        definitions.pop(unwritten, None)
    for kind, cls in KINDS.items():
        definitions[cls.__name__] = _slot(kind, registry, definitions)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_with_fractions(_as_written(schema))}


def _slot(kind: str, registry: Registry, definitions: Schema) -> Schema:
    """Where a component of one kind is named: `name`, or `{name: {options}}`."""
    classes = {spec.name: _importable(registry, kind, spec.name) for spec in registry.specs(kind)}
    known = {name: cls for name, cls in classes.items() if cls is not None}
    options = {name: _options(kind, name, cls, definitions) for name, cls in known.items()}
    bare = [*known, NONE] if kind == "certifier" else list(known)
    named = {"type": "object", "properties": options, "minProperties": 1, "maxProperties": 1}
    return {"anyOf": [{"enum": bare}, {**named, "additionalProperties": False}]}


def _importable(registry: Registry, kind: str, name: str) -> type[Component] | None:
    try:
        return registry.get(kind, name)
    except PluginError:
        return None


def _options(kind: str, name: str, cls: type[Component], definitions: Schema) -> Schema:
    """The options of a component; none is required, since an entry may amend another one."""
    place = f"{kind} {name}"
    found = cls.model_json_schema(ref_template=f"#/$defs/{place}: {{model}}")
    definitions.update({f"{place}: {model}": part for model, part in found.pop("$defs", {}).items()})
    found.pop("required", None)
    definitions[place] = found
    return {"anyOf": [{"$ref": f"#/$defs/{place}"}, {"type": "null"}]}


def _as_written(schema: Schema) -> Schema:
    """What a file may leave out or write more shortly than the values that it becomes."""
    properties, definitions = schema["properties"], schema["$defs"]
    text_or_texts = TypeAdapter(str | list[str]).json_schema()
    properties.update(
        extends=text_or_texts,
        baseline=text_or_texts,
        plugins={"type": "array", "items": {"anyOf": [{"type": "string"}, {"$ref": _REF.format(model="PluginFile")}]}},
        nodes={"type": "object", "additionalProperties": {"$ref": _REF.format(model="NodeSpec")}},
    )
    definitions["AuditSpec"].pop("required")
    return {**schema, "required": ["data"]}


def _with_fractions(schema: Any) -> Any:
    """Wherever a number may stand, a fraction such as 8/255 may stand too."""
    if isinstance(schema, list):
        return [_with_fractions(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _with_fractions(part) for key, part in schema.items()}
    if found.get("type") == "number":
        found |= {"type": ["number", "string"], "pattern": f"^{FRACTION.pattern}$"}
    return found
