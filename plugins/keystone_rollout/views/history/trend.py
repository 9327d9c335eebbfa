"""Place one measure of all rehearsals along a line, oldest left: the drawing's numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from keystone_rollout.domain.units import moment
from keystone_rollout.views.history.drift import Drift, Measure

WIDTH, HEIGHT = 420, 190
LEFT, RIGHT, TOP, BOTTOM = 64, 408, 30, 150
UNKNOWN_Y = BOTTOM + 1
"""What was not measured stands on the axis, as a ring."""


def build_trend(
    rows: Sequence[Mapping[str, Any]], measure: Measure, found: Drift
) -> dict[str, Any] | None:
    """Return the drawing of one measure, or None where nothing was measured; newest row first."""
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
