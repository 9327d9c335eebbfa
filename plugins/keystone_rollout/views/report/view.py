"""Put a run record into words: everything that the report's template prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keystone_rollout.domain.releases.identity import identity_in_words
from keystone_rollout.domain.run.events import Look
from keystone_rollout.domain.run.record import LoadSummary, RunRecord
from keystone_rollout.domain.units import (
    NOT_ENOUGH_DATA,
    clock,
    count,
    duration,
    milliseconds,
    moment,
)
from keystone_rollout.views.report.chart import build_chart
from keystone_rollout.views.report.checks import group_checks, reasons
from keystone_rollout.views.report.lanes import node_names
from keystone_rollout.views.report.layout import COMPACT, WIDE
from keystone_rollout.views.report.restore import restore_summary, restore_tiles, restore_view
from keystone_rollout.views.report.tables import (
    again_in_words,
    backup_row,
    image_row,
    lock_waits_rows,
    node_row,
    steps_rows,
    variable_rows,
    versions_rows,
    writes_row,
)

HEADLINES = {
    "succeeded": "Succeeded",
    "failed": "Failed",
    "interrupted": "Interrupted",
    "unproven": "Not proven",
    "waiting": "Waits for approval",
}


def build_view(record: RunRecord) -> dict[str, Any]:
    """Return the view of a run record (domain.run.record), which may lack parts."""
    state = run_state(record)
    steps = steps_rows(record.steps, record.began)
    checks = group_checks([v for v in record.verdicts if v.look is not Look.PREFLIGHT])
    preflight = group_checks([v for v in record.verdicts if v.look is Look.PREFLIGHT])
    return {
        "state": state,
        "kind": record.dag.removeprefix("keystone_"),
        "headline": HEADLINES[state],
        "summary": _summary(record, state),
        "run_id": record.run_id,
        "began": moment(record.began),
        "releases": _releases(record),
        "cloud": record.plan.cloud if record.plan else None,
        "tiles": restore_tiles(record.restore) if record.restore else _tiles(record),
        "reasons": reasons(record),
        "failed_tasks": list(record.failed_tasks) if state == "failed" else [],
        "charts": [build_chart(record, steps, layout) for layout in (WIDE, COMPACT)],
        "origin": clock(record.began) if record.began else "",
        "steps": steps,
        "checks": checks,
        "preflight": preflight,
        "nodes": [node_row(name, record) for name in node_names(record)],
        "versions": versions_rows(record),
        "lock_waits": lock_waits_rows(record.lock_waits),
        "variables": variable_rows(record.variable),
        "backup": backup_row(record.backup),
        "writes": writes_row(record.writes),
        "image": image_row(record.plan),
        "restore": restore_view(record.restore),
        "deviations": [{"at": clock(each.t), "text": each.text} for each in record.deviations],
        "left_behind": record.left_behind,
    }


def run_state(record: RunRecord) -> str:
    """Return the state that the report shows: "unproven" for a success without load.

    Without requests there are no errors, which proves nothing. A restore is a downtime, and its
    report claims only what it measured.
    """
    if record.state == "succeeded" and not record.load.requests and not record.restore:
        return "unproven"
    return record.state


def _summary(record: RunRecord, state: str) -> str:
    if record.restore:
        return restore_summary(record.restore)
    if state == "unproven" and not _changed_anything(record):
        return "Nothing was changed: it ended after its checks."
    if state == "unproven":
        return "Every task succeeded, but there was no load: nobody knows whether clients noticed."
    if state == "succeeded":
        failures = record.load.failures
        return (
            "Keystone served all the way through: no request failed."
            if not failures
            else f"The upgrade ended well; {count(failures)} failed requests are in the budget."
        )
    if state == "waiting":
        return "Nothing goes on before somebody answers; this is what was measured up to now."
    if state == "interrupted":
        return "It was killed, and a later run cleaned up after it; what it had begun is below."
    if record.plan is None:
        return "It ended before there was a plan: nothing was touched."
    if not _changed_anything(record):
        return "It stopped before anything was touched."
    return "It stopped before the next step; what follows says why, and what to do."


def _changed_anything(record: RunRecord) -> bool:
    return any((record.backup, record.variable, record.versions, record.nodes))


def _releases(record: RunRecord) -> list[str]:
    plan = record.plan
    if plan is None:
        return []
    way = [identity_in_words(plan.source), identity_in_words(plan.target)]
    return way[::-1] if record.restore else way


def _most(failures: Mapping[str, int], names: int = 3) -> str:
    """Name the actions that failed most often."""
    parts = [f"{name} {number}" for name, number in failures.items()]
    more = f", {len(parts) - names} more" if len(parts) > names else ""
    return ", ".join(parts[:names]) + more


def _baselines(load: LoadSummary) -> str:
    """Name the undisturbed cloud first, and what was measured again for what it is."""
    first = load.baseline_p99
    return "; ".join(
        [
            f"baseline {milliseconds(first)}" if first is not None else "no baseline",
            *(again_in_words(each) for each in load.measured_again),
        ]
    )


def _tiles(record: RunRecord) -> list[dict[str, Any]]:
    load = record.load
    known = load.requests > 0
    took = None if record.began is None else (record.ended or record.began) - record.began
    return [
        {
            "value": f"{count(load.failures)} of {count(load.requests)}",
            "label": "requests failed",
            "note": _most(load.failures_by_name),
            "state": "bad" if load.failures else "good",
        }
        if known
        else {"value": NOT_ENOUGH_DATA, "label": "requests failed", "note": "no request was made",
              "state": "unknown"},
        {
            "value": f"{load.longest_gap:.1f} s" if known else NOT_ENOUGH_DATA,
            "label": "longest gap between two successes",
            "note": "",
            "state": "plain" if known else "unknown",
        },
        {
            "value": milliseconds(load.p99),
            "label": "p99 over the whole run",
            "note": _baselines(load),
            "state": "plain" if load.p99 is not None else "unknown",
        },
        {
            "value": duration(took) if took is not None else NOT_ENOUGH_DATA,
            "label": "from the first to the last event",
            "note": f"{duration(load.seconds)} of it under load" if known else "without load",
            "state": "plain" if took is not None else "unknown",
        },
    ]  # fmt: skip
