"""Group a run's verdicts for the report: each check, how often it was made, why the run is red."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keystone_rollout.domain.run.record import Finding, RunRecord


def reasons(record: RunRecord) -> list[dict[str, Any]]:
    """Return why the run is red, in the order it happened.

    These are the violated checks, and the messages of failed steps.
    """
    found = [
        {**check, "title": check["check"], "text": ""} for check in group_checks(record.violated)
    ]
    for step in record.steps:
        # A closed gate repeats verdicts that are listed here already.
        if step.failed and not step.gated:
            found.append(
                {"title": step.name, "object": "step", "times": 1, "text": step.reason,
                 "t": step.ended}
            )  # fmt: skip
    return sorted(found, key=lambda reason: reason["t"])


def group_checks(verdicts: Sequence[Finding]) -> list[dict[str, Any]]:
    """Group verdicts by check and object; a violated one stands for its group.

    Objects with the same measured value and the same limit share a row.
    """
    groups: dict[tuple[str, str], list[Finding]] = {}
    for verdict in verdicts:
        groups.setdefault((verdict.check, verdict.object), []).append(verdict)
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for group in groups.values():
        row = _row(group)
        key = tuple(row[field] for field in ("check", "measured", "limit", "ok", "times", "gates"))
        if key in rows:
            rows[key]["object"] += f", {row['object']}"
        else:
            rows[key] = row
    return sorted(rows.values(), key=lambda row: bool(row["ok"]))


def _row(group: Sequence[Finding]) -> dict[str, Any]:
    violated = [verdict for verdict in group if not verdict.ok]
    speaker = violated[0] if violated else group[-1]
    fields = ("check", "object", "measured", "limit", "consequence", "next_step", "t")
    return {
        **{field: getattr(speaker, field) for field in fields},
        "ok": not violated,
        "times": len(group),
        "violated": len(violated),
        "gates": ", ".join(dict.fromkeys(each.gate for each in violated or group)),
    }
