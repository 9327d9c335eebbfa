"""Sum up the `restore` events of a run: what was planned, what was lost, for how long it took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from keystone_rollout.domain.units import duration


def restore_section(events: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return what the events say together, later ones over earlier ones; None without any.

    Times are epoch seconds: ``began`` is when the first server left, ``served`` when the first one
    served again, ``ended`` when all did.
    """
    section: dict[str, Any] = {}
    for event in events:
        section |= {key: value for key, value in event.items() if key not in ("t", "kind")}
    return section or None


def downtime_in_words(section: Mapping[str, Any]) -> str:
    """Return for how long nobody served, as far as that was measured."""
    began, served, ended = (section.get(key) for key in ("began", "served", "ended"))
    if began is None:
        return "no server was taken out"
    if served is None:
        return "no server serves again yet"
    first = f"{duration(served - began)} until the first server served"
    if ended is None:
        return f"{first}; not all of them serve yet"
    return f"{first}, {duration(ended - began)} until all did"
