"""Put a restore into words: what it lost, for how long nobody served, where the old tables are."""

from __future__ import annotations

from typing import Any

from keystone_rollout.domain.recovery.restore import downtime_in_words
from keystone_rollout.domain.run.events import RestoreChanged, RestoreOutcome
from keystone_rollout.domain.schema.difference import Difference
from keystone_rollout.domain.units import NOT_ENOUGH_DATA, count, duration, moment


def restore_view(section: RestoreChanged | None) -> dict[str, Any] | None:
    """Return the rows of the report's section about a restore; None for any other run."""
    if section is None:
        return None
    loss = _loss(section)
    moved = section.swapped is not None
    return {
        "backup": section.backup,
        "taken": moment(section.taken or 0.0),
        "age": duration(section.age_seconds or 0.0),
        "loss": loss.sentence() if _counted(section) else "not counted",
        "loss_title": "Lost" if moved else "Would be lost",
        "tables": [
            {
                "table": table.table,
                **{kind: count(getattr(table, kind)) for kind in ("lost", "returning", "changed")},
                "note": "" if table.by_key else "row counts only",
            }
            for table in loss.affected
        ],
        "downtime": downtime_in_words(section),
        "replaced": section.replaced if moved else "",
    }


def restore_summary(section: RestoreChanged) -> str:
    """Return the result of a restore in one sentence."""
    if section.outcome is RestoreOutcome.RESTORED:
        return f"The old release serves again, from {section.backup}."
    if section.outcome is RestoreOutcome.PUT_BACK:
        return "Nothing was restored: no table was moved, and every server serves as it did."
    if section.began is None:
        return "It stopped before anything was touched."
    if section.swapped is not None:
        return "The backup's tables are in place, but not every step after that succeeded."
    return "It stopped after servers were taken out, and before any table was moved."


def restore_tiles(section: RestoreChanged) -> list[dict[str, Any]]:
    """Return the most important figures."""
    began = section.began
    first, last = (
        NOT_ENOUGH_DATA if began is None or at is None else duration(at - began)
        for at in (section.served, section.ended)
    )
    counted = _counted(section)
    return [
        _tile(first, "until the first server served again"),
        _tile(last, "until all servers served again"),
        _tile(
            count(_loss(section).total) if counted else NOT_ENOUGH_DATA,
            "writes lost" if section.swapped is not None else "writes would be lost",
        ),
        _tile(duration(section.age_seconds or 0.0), "age of the backup"),
    ]


def _tile(value: str, label: str) -> dict[str, Any]:
    state = "unknown" if value == NOT_ENOUGH_DATA else "plain"
    return {"value": value, "label": label, "note": "", "state": state}


def _counted(section: RestoreChanged) -> bool:
    return section.lost is not None or section.planned is not None


def _loss(section: RestoreChanged) -> Difference:
    return section.lost or section.planned or Difference()
