"""The drawing's two layouts, its time axis, and the bands that shade the steps of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keystone_rollout.domain.units import elapsed

TICK_SECONDS = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


@dataclass(frozen=True)
class Layout:
    """The differences between a wide screen and a telephone, in pixels of the drawing."""

    name: str
    width: int
    left: int
    right: int
    max_ticks: int
    character: float
    """Width of one character of a step's label."""
    bucket: float
    """Samples closer together than this become one point."""
    lane: int
    step_names: bool
    """Label steps with their names; otherwise with their numbers in the table of steps."""

    @property
    def plot(self) -> float:
        """Return the width of the time axis."""
        return self.width - self.left - self.right


WIDE = Layout("wide", 1000, 104, 14, 10, 6.1, 2.0, 24, step_names=True)
COMPACT = Layout("compact", 366, 40, 6, 4, 6.4, 2.0, 34, step_names=False)


@dataclass(frozen=True)
class Axis:
    """The time axis: from epoch seconds to the horizontal coordinate."""

    begin: float
    end: float
    layout: Layout

    def x(self, t: float) -> float:
        """Return a coordinate; a time outside the axis is drawn at its edge."""
        share = (min(max(t, self.begin), self.end) - self.begin) / (self.end - self.begin)
        return round(self.layout.left + share * self.layout.plot, 1)

    def ticks(self) -> list[dict[str, Any]]:
        """Return round times since the beginning, few enough to be read."""
        length = self.end - self.begin
        step = next((s for s in TICK_SECONDS if length / s <= self.layout.max_ticks), 86400)
        times = range(0, int(length) + 1, step)
        return [{"x": self.x(self.begin + t), "label": elapsed(t)} for t in times]


Data = Mapping[str, Any]
LABEL_ROWS = 4
PHASES = {"expand", "migrate", "contract"}
MIN_BAND_SECONDS = 1.0


def step_bands(
    steps: Sequence[Data], axis: Axis, nodes: Sequence[str]
) -> tuple[list[dict[str, Any]], int]:
    """Return the shaded steps with the places of their labels, and how many rows these need.

    If there is no room for all labels, those of failed steps, phases and nodes come first; a band
    without one still has its title, and its row in the table of steps.
    """
    bands = [band for step in steps if (band := _band(step, axis)) is not None]
    placed: list[dict[str, Any]] = []
    for band in sorted(bands, key=lambda each: _rank(each, nodes)):
        place = _place(band, placed, axis.layout)
        band["place"] = place
        if place is not None:
            placed.append(place)
    return bands, max((place["row"] for place in placed), default=-1) + 1


def _band(step: Data, axis: Axis) -> dict[str, Any] | None:
    end = axis.end if step["ended"] is None else step["ended"]
    seconds = end - step["began"]
    if seconds < MIN_BAND_SECONDS and step["name"] not in PHASES and step["ok"]:
        return None
    x = axis.x(step["began"])
    return {
        "x": x,
        "width": round(max(axis.x(end) - x, 1.5), 1),
        "name": step["name"],
        "label": step["name"] if axis.layout.step_names else str(step["number"]),
        "title": f"{step['number']} {step['name']}: {elapsed(seconds)} {step['state']}",
        "ok": step["ok"],
    }


def _rank(band: Data, nodes: Sequence[str]) -> tuple[bool, bool, float]:
    important = band["name"] in PHASES or band["name"] in nodes
    return band["ok"], not important, band["x"]


def _place(band: Data, placed: Sequence[Data], layout: Layout) -> dict[str, Any] | None:
    """Find the lowest row in which neither label nor leader line runs into another one."""
    characters = len(band["label"]) + (0 if band["ok"] else 2)
    half = characters * layout.character / 2 + 3
    line = round(band["x"] + band["width"] / 2, 1)
    middle = round(min(max(line, layout.left + half - 8), layout.width - half), 1)
    begin, end = middle - half, middle + half
    for row in range(LABEL_ROWS):
        taken = any(
            (other["row"] == row and begin < other["end"] and end > other["begin"])
            or (other["row"] < row and other["begin"] < line < other["end"])
            or (other["row"] > row and begin < other["line"] < end)
            for other in placed
        )
        if not taken:
            return {"row": row, "line": line, "middle": middle, "begin": begin, "end": end}
    return None
