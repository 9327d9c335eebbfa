"""Summarise a run from its events and samples: the one document the report is made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from keystone_rollout.domain.load.samples import Sample, merge
from keystone_rollout.domain.recovery.restore import restore_section

Event = Mapping[str, Any]
OUT_OF_ROTATION, IN_ROTATION = ("drain", "maint"), ("up", "done")


def build_record(
    run_id: str, events: Sequence[Event], samples: Sequence[Sample], state: str
) -> dict[str, Any]:
    """Return the run record.

    ``state`` is "succeeded" or "failed", as the caller knows it from its tasks. Times are epoch
    seconds, latencies milliseconds.
    """
    session = merge(samples)
    gates = _of(events, "gate")
    verdicts = [{**verdict, "gate": gate["gate"], "t": gate["t"]}
                for gate in gates for verdict in gate["verdicts"]]  # fmt: skip
    baseline = _last(events, "baseline")
    dag = _last(events, "dag")
    return {
        "run_id": run_id,
        "dag": dag["dag"] if dag else "keystone_upgrade",
        "state": state,
        "began": events[0]["t"] if events else None,
        "ended": events[-1]["t"] if events else None,
        "plan": _last(events, "plan"),
        "load": {
            "requests": session.requests,
            "failures": session.failures,
            "failures_by_name": session.failures_by_name,
            "longest_gap": session.longest_gap,
            "p50": session.percentile(50) if session.measured else None,
            "p95": session.percentile(95) if session.measured else None,
            "p99": session.percentile(99) if session.measured else None,
            "baseline_p99": baseline["p99"] if baseline else None,
            "seconds": len(samples),
            "series": [_point(sample) for sample in samples],
        },
        "verdicts": verdicts,
        "violated": [verdict for verdict in verdicts if not verdict["ok"]],
        "steps": _steps(_of(events, "step")),
        "nodes": _nodes(_of(events, "node")),
        "versions": _of(events, "versions"),
        "lock_waits": _of(events, "lock_waits"),
        "variable": _of(events, "variable"),
        "backup": _last(events, "backup"),
        "writes": _writes(_of(events, "writes")),
        "deviations": _deviations(events),
        "left_behind": [event["text"] for event in _of(events, "left_behind")],
        "restore": restore_section(_of(events, "restore")),
    }


def _of(events: Iterable[Event], kind: str) -> list[Event]:
    return [event for event in events if event["kind"] == kind]


def _last(events: Sequence[Event], kind: str) -> Event | None:
    return next(reversed(_of(events, kind)), None)


def _writes(events: Sequence[Event]) -> dict[str, Any] | None:
    """Add up what became of every load session's writes; None where nobody looked."""
    newest = {event["session"]: event for event in events}
    total: dict[str, Any] = {}
    for event in newest.values():
        for key, value in event.items():
            if key not in ("t", "kind", "session"):
                total[key] = total[key] + value if key in total else value
    return total or None


def _deviations(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Return what did not go the plain way, though it may have ended well."""
    found = []
    for event in events:
        if event["kind"] in ("recovered", "note"):
            text = event["text"]
        elif event["kind"] == "node" and event["state"] == "note":
            text = f"{event['node']}: {event['text']}"
        elif event["kind"] == "notification" and event["state"] == "failed":
            text = (
                f"notification '{event['happening']}' by {event['via']} (connection "
                f"{event['connection']}) could not be delivered: {event['error']}; the run went on"
            )
        elif event["kind"] == "lock" and event["state"] == "broken":
            text = f"the lock of run {event['of']} was broken: {'; '.join(event['done'])}"
        else:
            continue
        found.append({"t": event["t"], "text": text})
    return found


def _point(sample: Sample) -> dict[str, Any]:
    window = merge([sample])
    known = bool(window.measured)
    return {
        "t": sample.t,
        "requests": sample.requests,
        "failures": sample.failures,
        "p50": window.percentile(50) if known else None,
        "p95": window.percentile(95) if known else None,
        "p99": window.percentile(99) if known else None,
    }


def _steps(events: Sequence[Event]) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    for event in events:
        if event["state"] == "started":
            steps.append({"name": event["step"], "began": event["t"], "state": "unfinished"})
            continue
        for step in reversed(steps):
            if step["name"] == event["step"] and step["state"] == "unfinished":
                step.update(state=event["state"], ended=event["t"], reason=event.get("reason", ""))
                break
    return steps


def _nodes(events: Sequence[Event]) -> dict[str, dict[str, Any]]:
    nodes: dict[str, dict[str, Any]] = {}
    for event in events:
        node = nodes.setdefault(
            event["node"], {"out_of_rotation": 0.0, "since": None, "history": []}
        )
        node["history"].append({key: event[key] for key in ("t", "state", "text")})
        node["state"] = event["state"]
        if event["state"] in OUT_OF_ROTATION and node["since"] is None:
            node["since"] = event["t"]
        elif event["state"] in IN_ROTATION and node["since"] is not None:
            node["out_of_rotation"] += event["t"] - node["since"]
            node["since"] = None
    return nodes
