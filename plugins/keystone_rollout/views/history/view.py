"""Say in words what the history of rehearsals holds: everything its template prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from keystone_rollout.domain.releases.release import release_in_words
from keystone_rollout.domain.units import (
    NOT_ENOUGH_DATA,
    count,
    duration,
    elapsed,
    milliseconds,
    moment,
)
from keystone_rollout.views.history.drift import MEASURES, Drift, drift
from keystone_rollout.views.history.row import NO_DATA, PHASES, p99_ratio
from keystone_rollout.views.history.trend import build_trend
from keystone_rollout.views.report.view import HEADLINES

WORDS = {**HEADLINES, NO_DATA: "No data"}
COUNTED = {"failed": "failed", "interrupted": "interrupted", "unproven": "not proven",
           NO_DATA: "without data"}  # fmt: skip
NOT_REACHED, NOT_KNOWN = "not reached", "unknown"


def build_history_view(cloud: str, rows: Sequence[Mapping[str, Any]], bound: int) -> dict[str, Any]:
    """Return the view of a cloud's rehearsals, newest first; ``bound`` is how many are kept."""
    newest = rows[0] if rows else None
    found = [drift(rows, measure) for measure in MEASURES]
    return {
        "cloud": cloud,
        "state": newest["state"] if newest else NO_DATA,
        "headline": WORDS[newest["state"]] if newest else "No rehearsal yet",
        "last": moment(newest["began"]) if newest else "",
        "releases": _releases(newest) if newest else "",
        "summary": _summary(rows, found),
        "drifts": found,
        "trends": [
            trend
            for measure, each in zip(MEASURES, found, strict=True)
            if (trend := build_trend(rows, measure, each))
        ],
        "rows": [_row(row) for row in rows],
        "phases": PHASES,
        "bound": bound,
    }


def _summary(rows: Sequence[Mapping[str, Any]], found: Sequence[Drift]) -> str:
    if not rows:
        return "Nothing was rehearsed here yet."
    states = Counter(row["state"] for row in rows)
    others = [f"{states[state]} {words}" for state, words in COUNTED.items() if states[state]]
    good = f"{states['succeeded']} of the last {len(rows)} rehearsals succeeded"
    drifting = " and ".join(each.measure for each in found if each.state == "drifts")
    return ", ".join([good, *others]) + (f". Drifting: {drifting}." if drifting else ".")


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    ratio, known = p99_ratio(row), row["requests"] is not None
    missing = NOT_KNOWN if row["state"] == NO_DATA else NOT_REACHED
    return {
        "at": moment(row["began"]),
        "state": row["state"],
        "words": WORDS[row["state"]],
        "releases": _releases(row),
        "report": row["report"],
        "why": row["problem"] or row["reason"],
        "failed": f"{count(row['failures'])} of {count(row['requests'])}" if known
        else NOT_ENOUGH_DATA,
        "ratio": NOT_ENOUGH_DATA if ratio is None else f"{ratio:.2f} ×",
        "p99": milliseconds(row["p99"]) if ratio is not None else "",
        "gap": f"{row['longest_gap']:.1f} s" if known else NOT_ENOUGH_DATA,
        "took": NOT_ENOUGH_DATA if row["seconds"] is None else duration(row["seconds"]),
        "phases": [
            elapsed(row["phases"][phase]) if phase in row["phases"] else missing
            for phase in PHASES
        ],
    }  # fmt: skip


def _releases(row: Mapping[str, Any]) -> str:
    if not row["source"]:
        return ""
    return f"{release_in_words(row['source'])} → {release_in_words(row['target'])}"
