"""Make the scenarios' cloud file: the lab's own, with limits that end quickly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.paths import ROOT

LAB_CLOUD = ROOT / "include" / "clouds" / "lab.yaml"
Cloud = dict[str, Any]

QUICK: Cloud = {
    "load": {"profile": {"rate": 30, "users": 10}},
    "limits": {
        "load": {"baseline_seconds": 5, "min_requests": 100},
        "node": {"drain_seconds": 8, "start_seconds": 20, "up_seconds": 20, "stable_seconds": 1},
        "lock_stale_seconds": 1,
        "teardown_seconds": 20,
    },
}


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> Cloud:
    """Return a mapping with changes of any depth; whatever is not a mapping is replaced whole."""
    result = dict(base)
    for key, change in changes.items():
        before = result.get(key)
        both = isinstance(before, Mapping) and isinstance(change, Mapping)
        result[key] = merged(before, change) if both else change  # type: ignore[arg-type]
    return result


def scenario_cloud(
    changes: Mapping[str, Any] | None = None, connections: Mapping[str, str] | None = None
) -> Cloud:
    """Return the lab's cloud with quick limits and with changes.

    ``connections`` maps ids of the lab's connections to those that stand in for them: the ones
    that go through a forwarder.
    """
    text = LAB_CLOUD.read_text(encoding="utf-8")
    lab: Cloud = yaml.safe_load(text)
    for instead in (connections or {}).items():
        lab = _replace(lab, *instead)
    return merged(merged(lab, QUICK), changes or {})


def write_cloud(cloud: Mapping[str, Any], folder: Path) -> Path:
    """Write a cloud as `lab.yaml` into a folder for ROLLOUT_CLOUDS, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lab.yaml").write_text(yaml.safe_dump(dict(cloud), sort_keys=False))
    return folder


def connection_variable(name: str, connection: Mapping[str, Any]) -> dict[str, str]:
    """Return the variable from which Airflow reads a connection that no file holds."""
    return {f"AIRFLOW_CONN_{name.upper()}": json.dumps(connection)}


def _replace(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {key: _replace(each, old, new) for key, each in value.items()}
    if isinstance(value, list):
        return [_replace(each, old, new) for each in value]
    return new if value == old else value
