"""Write the reference of the cloud file from its model, so that the two cannot differ."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.node.kinds.presets import PRESETS
from keystone_rollout.domain.node.kinds.texts import MEANINGS

INTRODUCTION = """\
<!-- Made by `make reference` from domain/cloud/model.py. Change the model, not this page. -->

# The cloud file

One YAML file per cloud, in `include/clouds/`. It is validated when it is read: a key that is not
listed here is refused, with its line. It holds no secret: where a key names a connection, an
Airflow connection of that id holds address, account and password.

[production-example.yaml](../include/clouds/production-example.yaml) is a complete file with
comments. `{{ source }}`, `{{ target }}` and `{{ name }}` may be used in every text.
"""

PRESET_INTRODUCTION = """\
## Presets of node_steps

What `node_steps.variables` may set, by preset. A default may name other variables and the release
that the node is taken to, as an example `2:27.0.1-0ubuntu1.2`:
"""

RELEASE_WORDS = (
    ("release", "2:27.0.1-0ubuntu1.2", "what `source` or `target` says"),
    ("series", "27", "the release's number, with which all of its versions begin"),
    ("version", "27.0.1", "without epoch, revision and digest; `.dev7` is part of it"),
    ("revision", "0ubuntu1.2", "the packager's; empty if `release` names none"),
    ("codename", "2025.1", "OpenStack's name of the release, a number from 2023.1 on"),
    (
        "release_name", "epoxy", "what distributions call it in repositories and packages: up to "
        "Zed the codename. An error for 2026.2, whose name is not known here",
    ),
)  # fmt: skip
"""The parts of a release that a template of a node's steps may name, each with an example."""

BOTH_SIDES = """\
The last two are there for both sides as well, such as `{{ source_release_name }}` and
`{{ target_codename }}`.
"""


def reference_page() -> str:
    """Return the page, as Markdown."""
    schema = Cloud.model_json_schema(by_alias=True)
    parts = [INTRODUCTION, *_sections(schema, schema.get("$defs", {}), ""), PRESET_INTRODUCTION]
    words = [(f"`{{{{ {name} }}}}`", f"`{like}`", text) for name, like, text in RELEASE_WORDS]
    parts += [_table(("name", "example", "meaning"), words), BOTH_SIDES]
    for name, preset in PRESETS.items():
        rows = [
            (f"`{variable}`", _preset_default(default), MEANINGS.get(variable, ""))
            for variable, default in preset.variables.items()
        ]
        parts += [f"### Preset {name}\n", _table(("variable", "default", "meaning"), rows)]
    return "\n".join(parts)


def keys_without_meaning() -> list[str]:
    """Return the keys and preset variables that lack a description."""
    schema = Cloud.model_json_schema(by_alias=True)
    named = [("", schema), *schema.get("$defs", {}).items()]
    found = [
        f"{name or 'Cloud'}.{key}"
        for name, section in named
        for key, each in section.get("properties", {}).items()
        if not each.get("description")
    ]
    found += [
        f"preset {name}: {variable}"
        for name, preset in PRESETS.items()
        for variable in preset.variables
        if variable not in MEANINGS
    ]
    return found


def _sections(section: Schema, definitions: Schema, path: str) -> Iterator[str]:
    """Yield a section and those below it, each once for each place where it is used."""
    title = f"`{path}`" if path else "Top level"
    below = list(_below(section, definitions, path))
    rows = [
        (
            f"[`{key}`](#{_anchor(_join(path, key, each))})"
            if _leads_to(each, definitions)
            else f"`{key}`",
            allowed(each, definitions),
            otherwise(key, each, section.get("required", [])),
            each.get("description", ""),
        )
        for key, each in section["properties"].items()
    ]
    yield f"## {title}\n"
    yield " ".join(section.get("description", "").split()) + "\n"
    yield _table(("key", "allowed", "default", "meaning"), rows)
    for name, place in below:
        yield from _sections(definitions[name], definitions, place)


def _below(section: Schema, definitions: Schema, path: str) -> Iterator[tuple[str, str]]:
    for key, each in section["properties"].items():
        name = _leads_to(each, definitions)
        if name:
            yield name, _join(path, key, each)


def _leads_to(schema: Schema, definitions: Schema) -> str | None:
    """Return the section that a key holds: one, perhaps one, a list or a mapping of them."""
    values = schema.get("additionalProperties")
    inner: list[Any] = [
        schema,
        schema.get("items", {}),
        values if isinstance(values, dict) else {},
        *schema.get("anyOf", []),
    ]
    return next((name for each in inner if (name := reference(each, definitions))), None)


def _join(path: str, key: str, schema: Schema) -> str:
    each = {"array": "[]", "object": ".*"}.get(schema.get("type", ""), "")
    return f"{path}{'.' if path else ''}{key}{each}"


def _anchor(title: str) -> str:
    return "".join(each for each in title.lower() if each.isalnum() or each in "_-")


def _preset_default(default: str | None) -> str:
    if default is None:
        return "**required**"
    return f"`{default}`" if default else "empty"


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return (
        "\n".join(
            "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
        )
        + "\n"
    )


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
    """Return the name of the section that a schema refers to, or None."""
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return name if name and "properties" in definitions[name] else None


def allowed(schema: Schema, definitions: Schema) -> str:
    """Describe the allowed values; ValueError for a kind of schema that has no words yet."""
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
    """Describe the value of a key that is left out."""
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
    of = "sections" if of == "section" else of
    if "propertyNames" not in schema:
        return f"mapping of names to {of}"
    return f"mapping to {of}, of {allowed(schema['propertyNames'], definitions)}"


def _bounds(schema: Schema, words: Mapping[str, str]) -> list[str]:
    return [text.format(_plain(schema[key])) for key, text in words.items() if key in schema]


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else f"{value}"
