"""Put the history of rehearsals into words: everything that its template prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from keystone_rollout.domain.releases.identity import identity_in_words
from keystone_rollout.domain.units import (
    NOT_ENOUGH_DATA,
    count,
    duration,
    elapsed,
    milliseconds,
    moment,
)
from keystone_rollout.views.history.drift import MEASURES, Drift, Measure, drift
from keystone_rollout.views.history.row import NO_DATA, PHASES, p99_ratio
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
    return f"{identity_in_words(row['source'])} → {identity_in_words(row['target'])}"


WIDTH, HEIGHT = 420, 190
LEFT, RIGHT, TOP, BOTTOM = 64, 408, 30, 150
UNKNOWN_Y = BOTTOM + 1
"""A value that was not measured is a ring on the axis."""


def build_trend(
    rows: Sequence[Mapping[str, Any]], measure: Measure, found: Drift
) -> dict[str, Any] | None:
    """Return the drawing of one measure, or None if nothing was measured; newest row first."""
    series = list(reversed(rows))
    values = [measure.read(row) for row in series]
    known = [value for value in values if value is not None]
    if not known:
        return None
    top = max([*known, found.median or 0.0]) * 1.15 or 1.0
    xs = [_x(index, len(series)) for index in range(len(series))]
    points = [_point(*each, measure, top) for each in zip(series, values, xs, strict=True)]
    line = [f"{p['x']},{p['y']}" for p in points if p["state"] == "succeeded" and p["measured"]]
    return {
        "title": measure.name,
        "label": f"{measure.name} of {len(series)} rehearsals, oldest first. {found.sentence}",
        "points": points,
        "line": "M" + " L".join(line) if len(line) > 1 else "",
        "median": None if found.median is None else _y(found.median, top),
        "scale": [{"y": _y(top * part, top), "text": measure.scale(top * part)} for part in
                  (0.0, 0.5, 1.0)],
        "first": _day(series[0]),
        "last": _day(series[-1]) if len(series) > 1 else "",
        "state": found.state,
    }  # fmt: skip


def _point(
    row: Mapping[str, Any], value: float | None, x: float, measure: Measure, top: float
) -> dict[str, Any]:
    words = "not measured" if value is None else measure.words(value)
    return {
        "x": x,
        "y": UNKNOWN_Y if value is None else _y(value, top),
        "state": row["state"],
        "measured": value is not None,
        "title": f"{moment(row['began'])}: {row['state']}, {words}",
    }


def _x(index: int, number: int) -> float:
    return round(LEFT + 8 + (RIGHT - LEFT - 16) * (index / (number - 1) if number > 1 else 0.5), 1)


def _y(value: float, top: float) -> float:
    return round(BOTTOM - (BOTTOM - TOP) * value / top, 1)


def _day(row: Mapping[str, Any]) -> str:
    if row["began"] is None:
        return "unknown"
    return datetime.fromtimestamp(row["began"], UTC).strftime("%Y-%m-%d")
