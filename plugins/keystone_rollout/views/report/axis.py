"""Hold the drawing's two layouts, and the time axis that everything in it shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keystone_rollout.domain.units import elapsed

TICK_SECONDS = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


@dataclass(frozen=True)
class Layout:
    """Hold what a wide screen and a telephone do differently, in pixels of the drawing."""

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
    """Map epoch seconds to the horizontal coordinate."""

    begin: float
    end: float
    layout: Layout

    def x(self, t: float) -> float:
        """Return a coordinate; what lies outside is drawn at the edge."""
        share = (min(max(t, self.begin), self.end) - self.begin) / (self.end - self.begin)
        return round(self.layout.left + share * self.layout.plot, 1)

    def ticks(self) -> list[dict[str, Any]]:
        """Return round times since the beginning, few enough to be read."""
        length = self.end - self.begin
        step = next((s for s in TICK_SECONDS if length / s <= self.layout.max_ticks), 86400)
        times = range(0, int(length) + 1, step)
        return [{"x": self.x(self.begin + t), "label": elapsed(t)} for t in times]
