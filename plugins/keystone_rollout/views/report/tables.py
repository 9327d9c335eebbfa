"""Prepare the rows of the report's tables from a run record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keystone_rollout.domain.load.acknowledged_writes import AcknowledgedWrites
from keystone_rollout.domain.run.events import (
    BackupTaken,
    BaselineMeasured,
    LocksWatched,
    Planned,
    VariableChanged,
)
from keystone_rollout.domain.run.record import RunRecord, StepTaken
from keystone_rollout.domain.units import count, duration, elapsed, milliseconds, size
from keystone_rollout.views.report.lanes import lane_segments


def steps_rows(steps: Sequence[StepTaken], began: float | None) -> list[dict[str, Any]]:
    """Number the steps; consecutive mapped steps of one kind become one."""
    rows: list[dict[str, Any]] = []
    for step in steps:
        kind, _space, subject = step.name.partition(" ")
        ended, ok = step.ended, step.finished
        previous = rows[-1] if rows else None
        if subject and previous and previous["name"] == kind and previous["ok"] and ok:
            previous["ended"] = ended
            previous["subjects"].append(subject)
            continue
        name = kind if ok else step.name
        rows.append(
            {"name": name, "began": step.began, "ended": ended, "ok": ok,
             "state": _step_state(step), "subjects": [subject] if subject else []}
        )  # fmt: skip
    for number, row in enumerate(rows, start=1):
        row["number"] = number
        row["at"] = elapsed(row["began"] - (began or row["began"]))
        row["took"] = (
            "never ended" if row["ended"] is None else _seconds(row["ended"] - row["began"])
        )
    return rows


def _step_state(step: StepTaken) -> str:
    return "unfinished" if step.ended is None else step.state.value


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value < 60 else duration(value)


def node_row(name: str, record: RunRecord) -> dict[str, Any]:
    """Return one node: its releases, how long it took no requests, its last state."""
    plan = record.plan
    planned = str(plan.nodes.get(name, "unknown") if plan else "unknown")
    node = record.nodes.get(name)
    if node is None:
        return {"name": name, "before": planned, "now": "not touched", "out_of_rotation": "0.0 s",
                "still_out": False}  # fmt: skip
    seconds, since = node.out_of_rotation, node.since
    if since is not None:
        seconds += (record.ended or since) - since
    return {
        "name": name,
        "before": planned,
        "now": lane_segments(record, name, 0, record.ended or 0)[-1].words,
        "out_of_rotation": f"{seconds:.1f} s",
        "still_out": since is not None,
    }


def versions_rows(record: RunRecord) -> list[dict[str, Any]]:
    """Return the schema versions before, after each phase, and as they should be in the end."""
    plan = record.plan
    rows = [_versions_row("before", plan.state)] if plan else []
    rows += [
        _versions_row(f"after {each.after}", each.versions)
        | {"triggers": each.triggers, "did": each.did}
        for each in record.versions
    ]
    if plan and plan.heads:
        rows.append(_versions_row("heads in the image", plan.heads))
    restore = record.restore
    if restore and restore.backup_versions is not None:
        rows.append(_versions_row("in the backup", restore.backup_versions.by_phase()))
    return rows


def _versions_row(when: str, versions: Mapping[str, str]) -> dict[str, Any]:
    """Return one row: a cell for each phase, or a single one if no image told the phases apart."""
    cells = {name: version or "–" for name, version in versions.items()}
    return {"when": when, "triggers": "", "did": "", "together": ""} | cells


def lock_waits_rows(events: Sequence[LocksWatched]) -> list[dict[str, Any]]:
    """Return how long queries queued for the locks of each run of a phase, and which queries."""
    return [
        {
            "phase": event.phase,
            "longest": f"{event.longest_seconds:.1f} s" if event.polls else "never measured",
            "waiting": count(event.most_waiting) if event.polls else "",
            "measured": event.polls > 0,
            "statements": event.statements,
        }
        for event in events
    ]


def variable_rows(events: Sequence[VariableChanged]) -> list[dict[str, Any]]:
    """Return each changed global variable: its values before, during and after the run."""
    names = dict.fromkeys(event.name for event in events)
    return [_variable([event for event in events if event.name == name]) for name in names]


def _variable(events: Sequence[VariableChanged]) -> dict[str, Any]:
    before, after = events[0].original, events[-1].value
    return {
        "name": events[0].name,
        "before": before,
        "during": events[0].value,
        "after": after if len(events) > 1 else "never reset",
        "ok": len(events) > 1 and after == before,
    }


def backup_row(backup: BackupTaken | None) -> dict[str, str] | None:
    """Return the verified dump, or None."""
    if backup is None:
        return None
    return {"path": backup.path, "size": size(backup.bytes)}


def again_in_words(baseline: BaselineMeasured) -> str:
    """Say of a second baseline what it is: not the undisturbed cloud."""
    return (
        f"measured again {baseline.step}, in mid-upgrade: {milliseconds(baseline.p99)} "
        "(not the undisturbed cloud)"
    )


def writes_row(writes: AcknowledgedWrites | None) -> dict[str, Any] | None:
    """Return the result of looking up the acknowledged writes, or None if nobody looked."""
    if writes is None:
        return None
    return {
        **{
            key: count(getattr(writes, key))
            for key in ("created", "deleted", "authenticated", "uncertain")
        },
        "wrong": [{"what": what, "ids": ids} for what, ids in writes.wrong.items()],
    }


def image_row(plan: Planned | None) -> dict[str, str] | None:
    """Return the image that ran the migrations, or None."""
    if plan is None or not plan.image:
        return None
    return {"image": plan.image, "digest": plan.digest}
