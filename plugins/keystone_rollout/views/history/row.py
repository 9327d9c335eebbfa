"""Make one row of the history from the report of one rehearsal, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keystone_rollout.domain.run.events import Planned, Work
from keystone_rollout.domain.run.record import RunRecord, StepTaken
from keystone_rollout.views.report.view import HEADLINES, run_state

Row = dict[str, Any]
NO_DATA = "unknown"
STATES = frozenset({*HEADLINES, NO_DATA})
PHASES = ("backup", "expand", "migrate", "nodes", "contract")
_STEPS = {"backup_database": "backup", "expand": "expand", "migrate": "migrate",
          "contract": "contract"}  # fmt: skip


def row_without_data(rehearsal: str, at: float, problem: str, upgrade: str = "") -> Row:
    """Return the row of a rehearsal without a readable report.

    ``at`` is the time of this finding, in epoch seconds; ``problem`` says what is missing, and why.
    """
    return {
        "rehearsal": rehearsal, "upgrade": upgrade, "began": at, "state": NO_DATA,
        "problem": problem, "source": "", "target": "", "requests": None, "failures": None,
        "longest_gap": None, "p99": None, "baseline_p99": None, "seconds": None, "phases": {},
        "reason": "", "report": "",
    }  # fmt: skip


def row_of(rehearsal: str, record: RunRecord, report: str = "") -> Row:
    """Return the row of one report.json; KeyError, TypeError or ValueError if it is damaged.

    ``report`` is the page's path, relative to the history. Times are seconds, latencies
    milliseconds; None stands for a value that was not measured.
    """
    load, plan = record.load, record.plan or Planned()
    began, ended = record.began, record.ended
    known, state = load.requests > 0, run_state(record)
    if state not in HEADLINES:
        raise ValueError(f"read state {state!r}, allowed are {', '.join(HEADLINES)}")
    return {
        "rehearsal": rehearsal,
        "upgrade": str(record.run_id),
        "began": None if began is None else float(began),
        "state": state,
        "problem": "",
        "source": plan.source,
        "target": plan.target,
        "requests": int(load.requests) if known else None,
        "failures": int(load.failures) if known else None,
        "longest_gap": float(load.longest_gap) if known else None,
        "p99": _number(load.p99),
        "baseline_p99": _number(load.baseline_p99),
        "seconds": None if began is None or ended is None else float(ended) - float(began),
        "phases": _phases(record.steps),
        "reason": _reason(record),
        "report": report,
    }


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def is_row(data: Any) -> bool:
    """Tell whether plain data is a row that this version can show."""
    wanted = row_without_data("", 0.0, "").keys()
    return isinstance(data, dict) and data.keys() >= wanted and data["state"] in STATES


def p99_ratio(row: Mapping[str, Any]) -> float | None:
    """Return p99 of the whole run over that of its own baseline, before anything was changed."""
    p99, baseline = row["p99"], row["baseline_p99"]
    return float(p99) / float(baseline) if p99 is not None and baseline else None


def _phases(steps: Sequence[StepTaken]) -> dict[str, float]:
    """Return the seconds of each phase that ended, repeated steps and all nodes added up."""
    taken: dict[str, float] = {}
    for step in steps:
        phase = "nodes" if step.work is Work.NODE else _STEPS.get(step.name)
        if phase and step.ended is not None:
            taken[phase] = taken.get(phase, 0.0) + step.ended - step.began
    return {phase: round(taken[phase], 1) for phase in PHASES if phase in taken}


def _reason(record: RunRecord) -> str:
    """Return in short why a run is red: the violated limit, or the failed step."""
    if record.state == "succeeded":
        return ""
    for verdict in record.violated:
        return f"{verdict.check} ({verdict.object}): measured {verdict.measured}, limit " \
               f"{verdict.limit}"  # fmt: skip
    for step in record.steps:
        if step.failed:
            return f"step {step.name} failed"
    tasks = ", ".join(record.failed_tasks)
    return f"red tasks: {tasks}" if tasks else "no step recorded why"
