"""The clock of a run: it is handed in, so that a test or a simulation can set the time."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """The time, and waiting (keystone_rollout.hooks.clock.system.SystemClock)."""

    def now(self) -> float:
        """Return the seconds since the epoch, as written to a record; it may be set back."""
        ...

    def elapsed(self) -> float:
        """Return seconds from any start; they only grow, so limits and waits are measured here."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        ...
