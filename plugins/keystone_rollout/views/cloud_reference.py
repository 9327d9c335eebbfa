"""Write the reference of the cloud file from its model, so that it cannot say anything else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.node.presets import PRESETS
from keystone_rollout.domain.node.variable_meanings import MEANINGS
from keystone_rollout.views.schema_words import Schema, allowed, otherwise, reference

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
that the node is taken to: `{{ release }}`, `{{ codename }}`.
"""


def reference_page() -> str:
    """Return the page, as Markdown."""
    schema = Cloud.model_json_schema(by_alias=True)
    parts = [INTRODUCTION, *_sections(schema, schema.get("$defs", {}), ""), PRESET_INTRODUCTION]
    for name, preset in PRESETS.items():
        rows = [
            (f"`{variable}`", _preset_default(default), MEANINGS.get(variable, ""))
            for variable, default in preset.variables.items()
        ]
        parts += [f"### Preset {name}\n", _table(("variable", "default", "meaning"), rows)]
    return "\n".join(parts)


def keys_without_meaning() -> list[str]:
    """Return the keys and preset variables that nothing is said about."""
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
    """Return the section that a key holds: one, perhaps one, or a list of them."""
    inner: list[Any] = [schema, schema.get("items", {}), *schema.get("anyOf", [])]
    return next((name for each in inner if (name := reference(each, definitions))), None)


def _join(path: str, key: str, schema: Schema) -> str:
    return f"{path}{'.' if path else ''}{key}{'[]' if schema.get('type') == 'array' else ''}"


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
