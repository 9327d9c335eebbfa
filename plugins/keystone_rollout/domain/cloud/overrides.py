"""List the params that replace values of the cloud file for one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from pydantic import BaseModel

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.load.limits import LoadLimits
from keystone_rollout.domain.load.profile import LoadProfile

Location = tuple[str, ...]


@dataclass(frozen=True)
class Override:
    """A param of a run, and the key of the cloud file that it replaces.

    ``model`` is the part of the cloud file that has the key: it says which values are allowed.
    """

    param: str
    location: Location
    model: type[BaseModel]

    @property
    def key(self) -> str:
        """Return the key as messages name it, such as load.profile.rate."""
        return ".".join(self.location)

    def schema(self) -> dict[str, Any]:
        """Return the allowed values as JSON Schema: type, bounds, and the model's default."""
        schema: dict[str, Any] = self.model.model_json_schema()["properties"][self.location[-1]]
        return schema

    def value_in(self, cloud: Cloud) -> float:
        """Return the value of the key in a cloud."""
        value: float = attrgetter(self.key)(cloud)
        return value


OVERRIDES = {
    each.param: each
    for each in (
        Override("load_rate", ("load", "profile", "rate"), LoadProfile),
        Override("load_users", ("load", "profile", "users"), LoadProfile),
        Override("failure_budget", ("limits", "load", "failure_budget"), LoadLimits),
        Override("p99_multiple", ("limits", "load", "p99_multiple"), LoadLimits),
        Override("p99_floor_ms", ("limits", "load", "p99_floor_ms"), LoadLimits),
    )
}


def given_overrides(params: Mapping[str, object]) -> dict[str, object]:
    """Return the overrides in a run's params; an empty one keeps the cloud file's value."""
    return {name: params[name] for name in OVERRIDES if params.get(name) not in (None, "")}


def override(data: Mapping[str, object], given: Mapping[str, object]) -> dict[str, object]:
    """Return a cloud file's data with overrides put in; a section it lacks is added.

    A section that is not a mapping stays as it is: the model reports it.
    """
    changed = dict(data)
    for name, value in given.items():
        _put(changed, OVERRIDES[name].location, value)
    return changed


def _put(section: dict[str, object], location: Location, value: object) -> None:
    key, *rest = location
    if not rest:
        section[key] = value
        return
    inner = section.get(key)
    if inner is not None and not isinstance(inner, Mapping):
        return
    section[key] = changed = dict(inner or {})
    _put(changed, tuple(rest), value)


def deviations(file: Cloud, run: Cloud) -> list[str]:
    """Return how a run deviates from its cloud file, one sentence for each override."""
    return [
        f"param {each.param}: {each.key} is {each.value_in(run):g} in this run, "
        f"{each.value_in(file):g} in the cloud file"
        for each in OVERRIDES.values()
        if each.value_in(run) != each.value_in(file)
    ]
