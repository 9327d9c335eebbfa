"""Turn a node's recorded states into stretches of time: serving, drained, stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from keystone_rollout.domain.node.cycle import NodeState
from keystone_rollout.domain.node.release_report import NodeReport
from keystone_rollout.domain.releases.identity import same_build
from keystone_rollout.domain.run.events import NodeChanged, Planned
from keystone_rollout.domain.run.record import RunRecord

OLD, DRAINED, STOPPED, NEW, UNKNOWN = "old", "drained", "stopped", "new", "unknown"
# The meaning of a NodeState for the clients; that of "up" and "done" depends on the release.
_STATES = {
    NodeState.DRAIN: DRAINED,
    NodeState.MAINT: DRAINED,
    NodeState.STOPPED: STOPPED,
    NodeState.INSTALLED: STOPPED,
    NodeState.STARTED: DRAINED,
    NodeState.PROVED: DRAINED,
}


@dataclass(frozen=True)
class Segment:
    """One stretch of a node's time, in epoch seconds."""

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


def node_names(record: RunRecord) -> list[str]:
    """Return the nodes of a run record: the planned ones, and those with events."""
    planned = record.plan.nodes if record.plan else {}
    return list(dict.fromkeys([*planned, *record.nodes]))


def lane_segments(record: RunRecord, name: str, begin: float, end: float) -> list[Segment]:
    """Return one node's stretches of time from ``begin`` to ``end``."""
    plan = record.plan or Planned()
    releases = {OLD: plan.source, NEW: plan.target}
    state, release = _at_first(plan.nodes.get(name, NodeReport()), releases)
    segments: list[Segment] = []
    node = record.nodes.get(name)
    for event in node.history if node else ():
        following, release = _after(event, state, release, releases[NEW])
        if following != state:
            _add(segments, begin, event.t, state, releases)
            state, begin = following, event.t
    _add(segments, begin, end, state, releases)
    return segments


def _at_first(report: NodeReport, releases: Mapping[str, str]) -> tuple[str, str]:
    """Return the state in which task plan found the node, and its release."""
    found = report.release
    if found is None or found.stale:
        return UNKNOWN, ""
    if not found.running:
        return STOPPED, found.installed
    new = same_build(releases[NEW], found.installed)
    return (NEW, releases[NEW]) if new else (OLD, releases[OLD])


def _after(event: NodeChanged, state: str, release: str, target: str) -> tuple[str, str]:
    release = event.release or release
    if event.state is NodeState.DONE:
        return NEW, target
    if event.state is NodeState.UP:
        return (NEW if release == target else OLD), release
    return _STATES.get(event.state, state), release


def _add(
    segments: list[Segment], begin: float, end: float, state: str, releases: Mapping[str, str]
) -> None:
    if end >= begin:
        segments.append(Segment(begin, end, state, releases.get(state, "")))
