"""The schema of recipes: every component and option is in it, and every reference leads somewhere."""

import json
from typing import Any

import pytest
from recipe_toys import zoo

from hiercls.wiring.registry import Registry
from hiercls.wiring.schema import json_schema


@pytest.fixture(scope="module")
def registry() -> Registry:
    return zoo()


def test_the_schema_names_every_component_and_its_options(registry: Registry) -> None:
    schema = json_schema(registry)
    definitions = schema["$defs"]
    assert definitions["Trainer"]["anyOf"][0]["enum"] == ["boxed", "gaussian", "standard"]
    assert definitions["Certifier"]["anyOf"][0]["enum"] == ["boxes", "smoothing", "none"]
    assert set(definitions["trainer gaussian"]["properties"]) == {"schedule", "sigma"}
    assert schema["required"] == ["data"]
    assert schema["properties"]["nodes"]["additionalProperties"] == {"$ref": "#/$defs/NodeSpec"}
    assert definitions["trainer gaussian"]["properties"]["sigma"]["type"] == ["number", "string"]


def test_every_reference_of_the_schema_leads_somewhere(registry: Registry) -> None:
    schema = json_schema(registry)

    def references(part: Any) -> set[str]:
        if isinstance(part, list):
            return set().union(*map(references, part))
        if isinstance(part, dict):
            own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
            return own.union(*map(references, part.values()))
        return set()

    assert references(schema) == {f"#/$defs/{name}" for name in json.loads(json.dumps(schema))["$defs"]}
