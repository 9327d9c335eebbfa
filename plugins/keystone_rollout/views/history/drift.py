"""Say in words whether the newest rehearsal is slower than those before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from keystone_rollout.domain.units import NOT_ENOUGH_DATA, duration, elapsed
from keystone_rollout.views.history.row import p99_ratio

BEFORE = 10
"""Rehearsals that the newest one is compared with."""
ENOUGH = 3
"""How many are needed for a comparison."""

_Row = Mapping[str, Any]


@dataclass(frozen=True)
class Measure:
    """A measure that may drift, how it is read from a row, and from which factor on it drifts.

    ``words`` is for sentences, ``scale`` for the drawing's axis.
    """

    name: str
    read: Callable[[_Row], float | None]
    words: Callable[[float], str]
    scale: Callable[[float], str]
    limit: float


RATIO = Measure(
    "p99 ratio", p99_ratio, lambda x: f"{x:.2f} × baseline", lambda x: f"{x:.2f} ×", 1.5
)
DURATION = Measure("duration", lambda row: row["seconds"], duration, elapsed, 1.25)
MEASURES = (RATIO, DURATION)


@dataclass(frozen=True)
class Drift:
    """The result of one comparison: ``state`` is "steady", "drifts" or "unknown"."""

    measure: str
    state: str
    sentence: str
    median: float | None


def compared(row: _Row, other: _Row) -> bool:
    """Tell whether two rehearsals are of one kind: the same hop, and both went through."""
    same = (row["source"], row["target"]) == (other["source"], other["target"])
    return same and row["state"] == other["state"] == "succeeded"


def drift(rows: Sequence[_Row], measure: Measure) -> Drift:
    """Compare the newest rehearsal with the median of those before it; ``rows`` newest first."""
    if not rows:
        return _unknown(measure, "no rehearsal yet")
    newest, *earlier = rows
    value = measure.read(newest) if newest["state"] == "succeeded" else None
    if value is None:
        return _unknown(measure, "the last rehearsal did not go through, so it says nothing of it")
    before = [each for row in earlier if compared(newest, row)
              and (each := measure.read(row)) is not None][:BEFORE]  # fmt: skip
    if len(before) < ENOUGH:
        return _unknown(
            measure, f"{len(before)} rehearsals of this hop went through before, needed {ENOUGH}"
        )
    middle = median(before)
    factor = value / middle if middle else 1.0
    gone = factor >= measure.limit
    sentence = (
        f"The {measure.name} of the last rehearsal ({measure.words(value)}) is {factor:.1f} × the "
        f"median of the {len(before)} before ({measure.words(middle)}), limit {measure.limit:g} ×: "
        + ("it drifts. Next: compare its report with one of before" if gone else "no drift")
    )
    return Drift(measure.name, "drifts" if gone else "steady", sentence, middle)


def _unknown(measure: Measure, why: str) -> Drift:
    return Drift(measure.name, "unknown", f"The {measure.name}: {NOT_ENOUGH_DATA} ({why})", None)
