"""This machine's clock."""

from __future__ import annotations

import time


class SystemClock:
    """The operating system's clock (keystone_rollout.domain.clock.Clock)."""

    def now(self) -> float:
        """Return the seconds since the epoch."""
        return time.time()

    def elapsed(self) -> float:
        """Return seconds that only grow, even if somebody sets the machine's date."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        time.sleep(seconds)


SYSTEM_CLOCK = SystemClock()
