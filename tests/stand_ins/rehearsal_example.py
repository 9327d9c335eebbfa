"""Make the reports of a row of nightly rehearsals: one red, one without data, the last one slow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from keystone_rollout.procedures.rehearsal.history import RehearsalHistory
from tests.stand_ins import record_example

DAY = 86400.0
FACTORS = (1.0, 1.06, 0.97, 1.02, 1.1, 0.95, 1.0, 1.04, 0.98, 1.05, 1.01, 1.9)
"""Per night, by what the response times differ from the usual ones."""
RED, WITHOUT = 4, 8


def moved(record: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Return a record as if it had happened later."""
    for key in ("began", "ended"):
        record[key] += seconds
    for step in record["steps"]:
        step["began"] += seconds
        if step["ended"] is not None:
            step["ended"] += seconds
    return record


def nightly(night: int, factor: float = 1.0) -> dict[str, Any]:
    """Return the record of one night's rehearsal, green but for the red night."""
    record = record_example.failed() if night == RED else record_example.succeeded()
    record["load"]["p99"] *= factor
    record["run_id"] = f"upgrade_{night:02}"
    return moved(record, night * DAY)


def write_run(runs: Path, record: dict[str, Any], page: str = "<html></html>") -> str:
    """Write a run's report as the upgrade does; return the run's id."""
    folder = runs / record["run_id"]
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(record), encoding="utf-8")
    (folder / "report.html").write_text(page, encoding="utf-8")
    return str(record["run_id"])


def keep_nights(runs: Path, history: RehearsalHistory, nights: int = len(FACTORS)) -> None:
    """Keep a row of rehearsals in a history; that of one night has no report."""
    for night, factor in enumerate(FACTORS[:nights]):
        upgrade = f"upgrade_{night:02}"
        if night != WITHOUT:
            write_run(runs, nightly(night, factor))
        history.keep(f"night_{night:02}", upgrade, "")
