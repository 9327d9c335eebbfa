"""Lay out the report's one chart: load, latency, steps and nodes on a common time axis.

Pure geometry: numbers and texts go in, coordinates come out; a template draws them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from keystone_rollout.domain.run.record import Point, RunRecord
from keystone_rollout.domain.units import elapsed
from keystone_rollout.views.report.lanes import lane_segments, node_names
from keystone_rollout.views.report.layout import Axis, Layout, step_bands

Data = Mapping[str, Any]


def time_axis(record: RunRecord, layout: Layout) -> Axis | None:
    """Return the axis over all times of a record, or None if it has none."""
    times = [t for t in (record.began, record.ended) if t is not None]
    times += [point.t + edge for point in record.load.series for edge in (0, 1)]
    if not times or max(times) - min(times) < 1:
        return None
    return Axis(min(times), max(times), layout)


def build_chart(record: RunRecord, steps: Sequence[Data], layout: Layout) -> dict[str, Any] | None:
    """Return the chart for one layout, or None if the record has no time.

    ``steps`` are those of the report's table: numbered, with name, state, began and ended.
    """
    axis = time_axis(record, layout)
    if axis is None:
        return None
    bands, rows = step_bands(steps, axis, node_names(record))
    points = _points(record.load.series, axis)
    top = 16 + rows * 15
    rate = _panel(top + 18, 76, [point["rate"] for point in points])
    failures = {"top": rate["bottom"] + 28, "bottom": rate["bottom"] + 28 + 22}
    slow = [point[key] for point in points for key in ("p99",) if point[key] is not None]
    latency = _panel(failures["bottom"] + 30, 118, [*slow, record.load.baseline_p99 or 0])
    # A restore has no load on purpose: its chart is about the nodes, without three empty panels.
    loaded = bool(points) or record.restore is None
    lanes = _lanes(record, axis, (latency["bottom"] if loaded else top) + 34)
    end = lanes[-1]["top"] + lanes[-1]["height"] if lanes else 0
    bottom = end or (latency["bottom"] if loaded else top)
    return {
        "layout": layout,
        "left": layout.left,
        "right": layout.width - layout.right,
        "top": top,
        "bottom": bottom + 6,
        "height": bottom + 40,
        "ticks": axis.ticks(),
        "bands": bands,
        "rate": {**rate, "area": _area(points, rate), "line": _line(points, "rate", rate)},
        "failures": {
            **failures,
            "marks": [point for point in points if point["failures"]],
        },
        "latency": {
            **latency,
            "p99": _line(points, "p99", latency),
            "p95": _line(points, "p95", latency),
            "p50": _line(points, "p50", latency),
            "baseline": _y(record.load.baseline_p99, latency),
        },
        "lanes": lanes,
        "measured": bool(points),
        "loaded": loaded,
    }


def _panel(top: float, height: float, values: Sequence[float]) -> dict[str, Any]:
    ceiling = nice_ceiling(max(values, default=0))
    bottom = top + height
    labels = [
        {"y": bottom - share * height, "label": f"{ceiling * share:g}"} for share in (0, 0.5, 1)
    ]
    return {"top": top, "bottom": bottom, "ceiling": ceiling, "labels": labels}


def nice_ceiling(value: float) -> float:
    """Return the next round number whose half is round, too."""
    if value <= 0:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(
        step * power for step in (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10) if step * power >= value
    )


def _y(value: float | None, panel: Data) -> float | None:
    if value is None:
        return None
    share = min(value / panel["ceiling"], 1)
    return round(float(panel["bottom"] - share * (panel["bottom"] - panel["top"])), 1)


def _points(series: Sequence[Point], axis: Axis) -> list[dict[str, Any]]:
    """Merge seconds that fall on the same spot; the worst of them stays visible."""
    per_point = max(1, math.ceil(len(series) * axis.layout.bucket / axis.layout.plot))
    groups = [series[i : i + per_point] for i in range(0, len(series), per_point)]
    return [
        {
            "x": axis.x(group[0].t + len(group) / 2),
            "from": group[0].t,
            "until": group[-1].t + 1,
            "t": elapsed(group[0].t - axis.begin),
            "rate": sum(point.requests for point in group) / len(group),
            "failures": sum(point.failures for point in group),
            "p50": _of(median, group, "p50"),
            "p95": _of(max, group, "p95"),
            "p99": _of(max, group, "p99"),
        }
        for group in groups
    ]


def _of(merge: Any, group: Sequence[Point], key: str) -> float | None:
    known = [each for point in group if (each := getattr(point, key)) is not None]
    return float(merge(known)) if known else None


def _runs(points: Sequence[Data], key: str) -> Iterable[list[Data]]:
    """Split a line at a gap in the measurement: a line across it would be made up."""
    run: list[Data] = []
    for point in points:
        broken = point[key] is None or (run and point["from"] - run[-1]["until"] > 1)
        if broken and run:
            yield run
            run = []
        if point[key] is not None:
            run.append(point)
    if run:
        yield run


def _line(points: Sequence[Data], key: str, panel: Data) -> str:
    return " ".join(
        "M" + " L".join(f"{point['x']},{_y(point[key], panel)}" for point in run)
        for run in _runs(points, key)
    )


def _area(points: Sequence[Data], panel: Data) -> str:
    return " ".join(
        f"M{run[0]['x']},{panel['bottom']} "
        + " ".join(f"L{point['x']},{_y(point['rate'], panel)}" for point in run)
        + f" L{run[-1]['x']},{panel['bottom']} Z"
        for run in _runs(points, "rate")
    )


def _lanes(record: RunRecord, axis: Axis, top: float) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "top": top + index * axis.layout.lane,
            "height": 14,
            "segments": [
                {
                    "x": axis.x(segment.begin),
                    "width": round(max(axis.x(segment.end) - axis.x(segment.begin), 1), 1),
                    "state": segment.state,
                    "label": segment.label,
                    "title": f"{name}: {segment.words}, {elapsed(segment.end - segment.begin)}",
                }
                for segment in lane_segments(record, name, axis.begin, axis.end)
            ],
        }
        for index, name in enumerate(node_names(record))
    ]
