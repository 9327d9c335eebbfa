"""Time, as a run asks for it: one clock, handed in, so that a test or a simulation can set it."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Tell the time and wait (keystone_rollout.hooks.clock.system.SystemClock)."""

    def now(self) -> float:
        """Return the seconds since the epoch, as written to a record; it may be set back."""
        ...

    def elapsed(self) -> float:
        """Return seconds from any start; they only grow, so limits and waits are measured here."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        ...
