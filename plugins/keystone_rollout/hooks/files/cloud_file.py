"""Load a cloud file: YAML in, validated model out, every finding with its line."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from errno import ENOENT
from pathlib import Path
from typing import Any

import yaml
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from keystone_rollout.domain.cloud.model import Cloud, cloud_from_data, inconsistencies
from keystone_rollout.domain.cloud.overrides import OVERRIDES, override
from keystone_rollout.hooks.files.project import INCLUDE, PROJECT

CLOUDS = INCLUDE / "clouds"
REMOVED = {
    "load.web_port": "this key of 0.1.0 is gone: the load listens on no port any more, and its "
    "numbers are on the page of link Load at task load.start_load. Next: remove this line",
}
"""Keys that earlier versions had, and what to do about each."""


class CloudFileError(ValueError):
    """All findings about a cloud file, in the operator's words."""


def cloud_path(name: str) -> Path:
    """Return the file of a cloud's name; ROLLOUT_CLOUDS names another folder than the project's."""
    folder = Path(os.environ.get("ROLLOUT_CLOUDS", CLOUDS))
    return folder / f"{name}.yaml"


def cloud_names() -> list[str]:
    """Return the names of all clouds, by the names of their files, which are not opened."""
    return sorted(path.stem for path in cloud_path("any").parent.glob("[!.]*.yaml"))


def load_cloud(
    name: str,
    source: str = "",
    target: str = "",
    *,
    any_hop: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> Cloud:
    """Read and validate a cloud file by the cloud's name.

    ``source`` and ``target`` replace the file's own releases where they are given, ``overrides``
    (params by their names, see domain.cloud.overrides) single values; ``any_hop`` takes a pair,
    too, that is no hop (domain.cloud.model.inconsistencies). Raises CloudFileError with all
    findings, each naming the line or the param, what was read and what is allowed.
    """
    path = cloud_path(name)
    try:
        if path.name != f"{name}.yaml":  # a run could have any file read, and quoted by its errors
            raise FileNotFoundError(ENOENT, "a cloud is named, and not a path")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        known = ", ".join(cloud_names()) or "none"
        raise CloudFileError(
            f"cloud {name!r}: {path.name} cannot be read ({error.strerror}). "
            f"Allowed: {known}. Next: choose one of them, or add the file to include/clouds"
        ) from error
    return parse_cloud(text, path.name, source, target, any_hop=any_hop, overrides=overrides)


def parse_cloud(
    text: str,
    label: str,
    source: str = "",
    target: str = "",
    *,
    any_hop: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> Cloud:
    """Validate a cloud file's text; ``label`` names it in messages. See load_cloud."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CloudFileError(f"{label} is not YAML: {error}") from error
    if not isinstance(data, dict):
        raise CloudFileError(f"{label}: read {type(data).__name__}, allowed is a mapping of keys")
    data.update({key: value for key, value in (("source", source), ("target", target)) if value})
    data = override(data, overrides or {})
    try:
        return cloud_from_data(_render(data, data), any_hop=any_hop)
    except TemplateError as error:
        raise CloudFileError(
            f"{label}: {error}; allowed are name, source and target, in rehearsal also python"
        ) from error
    except ValidationError as error:
        # The model as a whole repeats findings that `inconsistencies` gives with their place in the
        # file.
        findings = [
            _finding(label, node, each, overrides or {}) for each in error.errors() if each["loc"]
        ]
        findings += [
            f"{label}:{_line(node, [*each.location])}: {'.'.join(map(str, each.location))}: "
            f"{each.message}"
            for each in inconsistencies(data, any_hop=any_hop)
        ]
        raise CloudFileError(
            f"{label} has {len(findings)} finding(s), nothing was touched:\n- "
            + "\n- ".join(findings)
        ) from error


def _render(value: Any, context: dict[str, Any], path: tuple[str, ...] = ()) -> Any:
    """Fill {{ source }}, {{ target }} and {{ name }} in; node steps are rendered per node."""
    if isinstance(value, dict):
        return {key: _render(each, context, (*path, str(key))) for key, each in value.items()}
    if isinstance(value, list):
        return [_render(each, context, path) for each in value]
    per_node = path[:1] == ("node_steps",) and path[-1] != "configuration"
    # A release is text and no template: a run's params may have brought it.
    plain = per_node or path in (("source",), ("target",))
    if isinstance(value, str) and "{{" in value and not plain:
        names = {name: context.get(name, "") for name in ("name", "source", "target")}
        if path[:1] == ("rehearsal",):
            names["python"] = sys.executable  # the one that runs Airflow's tasks
        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
        return environment.from_string(value).render(names)
    return value


def _finding(
    label: str, root: yaml.Node | None, error: ErrorDetails, overrides: Mapping[str, Any]
) -> str:
    location = [part for part in error["loc"] if isinstance(part, str | int)]
    line = _line(root, location)
    where = ".".join(str(part) for part in location) or "the file as a whole"
    message = error["msg"].removeprefix("Value error, ")
    for name in overrides:
        # The file is not to blame: its own value was not used.
        if OVERRIDES[name].key == where:
            return f"param {name} of this run: {message} (read {error['input']!r})"
    text = f"{label}:{line}: {where}: {message}"
    if where in REMOVED:
        return f"{label}:{line}: {where}: {REMOVED[where]}"
    if error["type"] == "extra_forbidden":
        allowed = ", ".join(_allowed_keys(location[:-1]))
        return f"{label}:{line}: {where}: read unknown key {location[-1]!r}; allowed: {allowed}"
    if error["type"] == "missing":
        return f"{label}:{line}: {where}: the key is missing, and it has no default"
    if not isinstance(error["input"], dict | list):
        text += f" (read {error['input']!r})"
    return text


def _line(root: yaml.Node | None, location: list[str | int]) -> int:
    """Return the line of the deepest part of a location that the file has."""
    node, line = root, 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            pairs = [(key, value) for key, value in node.value if key.value == part]
            if not pairs:
                break
            key, node = pairs[0]
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            if part >= len(node.value):
                break
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _allowed_keys(location: list[str | int]) -> list[str]:
    """Return the keys that the model has at a location, for the message about an unknown one."""
    schema: dict[str, Any] = Cloud.model_json_schema(by_alias=True)
    here = schema
    for part in location:
        if isinstance(part, int):
            here = here["items"]
        else:
            here = here.get("properties", {}).get(part) or here["additionalProperties"]
        here = next((each for each in here.get("anyOf", ()) if "$ref" in each), here)
        if "$ref" in here:
            here = schema["$defs"][here["$ref"].rsplit("/", 1)[1]]
    return sorted(here.get("properties", {}))


def project_path(path: str) -> Path:
    """Return an absolute path; a relative one counts from the folder that holds dags/."""
    return Path(path) if Path(path).is_absolute() else PROJECT / path


_SECTION = re.compile(r"^[\"']?rehearsal\b", re.MULTILINE)
# A file without the section costs one read; only one that has it is parsed and validated.


@dataclass(frozen=True)
class DeclaredRehearsal:
    """A cloud's schedule, or why it has none."""

    cloud: str
    schedule: str | None
    problem: str = ""


def declared_rehearsals(always: str) -> list[DeclaredRehearsal]:
    """Return the clouds that declare a rehearsal, and always the cloud ``always``.

    A wrong file has no schedule but a problem; the other files keep their schedules.
    """
    folder = cloud_path(always).parent
    names = {path.stem for path in folder.glob("*.yaml")}
    found = [_declared(name) for name in sorted(names | {always})]
    return [each for each in found if each.schedule or each.problem or each.cloud == always]


def _declared(name: str) -> DeclaredRehearsal:
    path = cloud_path(name)
    try:
        text = path.read_text(encoding="utf-8")
        if not _SECTION.search(text):
            return DeclaredRehearsal(name, None)
        cloud = parse_cloud(text, path.name)
    except OSError as error:
        return DeclaredRehearsal(name, None, f"{path.name} cannot be read ({error.strerror})")
    except CloudFileError as error:
        return DeclaredRehearsal(name, None, str(error))
    except Exception as error:  # any error of one file must leave the other DAGs alone
        return DeclaredRehearsal(name, None, f"{path.name}: {type(error).__name__}: {error}")
    return DeclaredRehearsal(name, cloud.rehearsal.schedule if cloud.rehearsal else None)
