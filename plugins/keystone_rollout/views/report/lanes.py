"""Turn a node's recorded states into stretches of time: serving, drained, stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OLD, DRAINED, STOPPED, NEW, UNKNOWN = "old", "drained", "stopped", "new", "unknown"
# What a state of domain.node.cycle means for the clients; "up" and "done" depend on the release.
_STATES = {
    "drain": DRAINED,
    "maint": DRAINED,
    "stopped": STOPPED,
    "installed": STOPPED,
    "started": DRAINED,
    "proved": DRAINED,
}


@dataclass(frozen=True)
class Segment:
    """Hold one stretch of a node's time, in epoch seconds."""

    begin: float
    end: float
    state: str
    label: str
    """Release while it serves, otherwise empty."""

    @property
    def words(self) -> str:
        """Return the state in words."""
        return {
            OLD: f"serves {self.label}",
            DRAINED: "runs, takes no requests",
            STOPPED: "service stopped",
            NEW: f"serves {self.label}",
            UNKNOWN: "not known",
        }[self.state]


def node_names(record: Mapping[str, Any]) -> list[str]:
    """Return the nodes of a run record: those that were planned, and those that did something."""
    planned = (record["plan"] or {}).get("nodes", {})
    return list(dict.fromkeys([*planned, *record["nodes"]]))


def lane_segments(record: Mapping[str, Any], name: str, begin: float, end: float) -> list[Segment]:
    """Return one node's stretches of time from ``begin`` to ``end``."""
    plan = record["plan"] or {}
    releases = {OLD: plan.get("source", ""), NEW: plan.get("target", "")}
    state, release = _at_first(str(plan.get("nodes", {}).get(name, "")), releases)
    segments: list[Segment] = []
    for event in record["nodes"].get(name, {}).get("history", []):
        following, release = _after(event, state, release, releases[NEW])
        if following != state:
            _add(segments, begin, event["t"], state, releases)
            state, begin = following, event["t"]
    _add(segments, begin, end, state, releases)
    return segments


def _at_first(planned: str, releases: Mapping[str, str]) -> tuple[str, str]:
    """Read what task plan found on the node, such as "12.0.3 running"."""
    if planned.endswith("stopped"):
        return STOPPED, planned.split()[0]
    if planned == f"{releases[NEW]} running":
        return NEW, releases[NEW]
    return (OLD, releases[OLD]) if planned.endswith("running") else (UNKNOWN, "")


def _after(event: Mapping[str, Any], state: str, release: str, target: str) -> tuple[str, str]:
    if event["state"] == "installed":
        release = event["text"]
    if event["state"] == "done":
        return NEW, target
    if event["state"] == "up":
        return (NEW if release == target else OLD), release
    return _STATES.get(event["state"], state), release


def _add(
    segments: list[Segment], begin: float, end: float, state: str, releases: Mapping[str, str]
) -> None:
    if end >= begin:
        segments.append(Segment(begin, end, state, releases.get(state, "")))
