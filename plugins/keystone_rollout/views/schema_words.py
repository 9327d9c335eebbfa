"""Put a part of a JSON schema into words: what may be written there, and what holds otherwise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "null": "nothing",
}
_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "pattern": "matching `{}`",
}
_SIZES = {"minItems": "at least {}", "maxItems": "at most {}"}


def reference(schema: Schema, definitions: Schema) -> str | None:
    """Return the name of the section that a schema leads to, or None where it leads to none."""
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return name if name and "properties" in definitions[name] else None


def allowed(schema: Schema, definitions: Schema) -> str:
    """Say in words what may be written; ValueError for a kind of schema that has no words yet."""
    if "$ref" in schema:
        name = reference(schema, definitions)
        return "section" if name else allowed(definitions[_target(schema)], definitions)
    if "anyOf" in schema:
        return " or ".join(allowed(each, definitions) for each in schema["anyOf"])
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if values:
        return ", ".join(f"`{value}`" for value in values)
    match schema.get("type"):
        case "array":
            of = allowed(schema["items"], definitions)
            kind = "list of sections" if of == "section" else f"list of {of}"
            return ", ".join([kind, *_bounds(schema, _SIZES)])
        case "object":
            return _mapping(schema, definitions)
        case str(kind) if kind in TYPES:
            return ", ".join([TYPES[kind], *_bounds(schema, _BOUNDS)])
    raise ValueError(f"no words for the schema {json.dumps(schema)}: add them to schema_words")


def otherwise(key: str, schema: Schema, required: list[str]) -> str:
    """Say what holds where a key is left out."""
    if key in required:
        return "**required**"
    if "default" not in schema:
        return "its keys' defaults"
    value = schema["default"]
    return "nothing" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"


def _target(schema: Schema) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _mapping(schema: Schema, definitions: Schema) -> str:
    values = schema.get("additionalProperties")
    of = allowed(values, definitions) if isinstance(values, dict) else "anything"
    if "propertyNames" not in schema:
        return f"mapping of names to {of}"
    return f"mapping to {of}, of {allowed(schema['propertyNames'], definitions)}"


def _bounds(schema: Schema, words: Mapping[str, str]) -> list[str]:
    return [text.format(_plain(schema[key])) for key, text in words.items() if key in schema]


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else f"{value}"
