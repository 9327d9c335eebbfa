"""A clock that moves only when somebody waits."""

from __future__ import annotations


class HandClock:
    """Stand in for hooks.clock.system.SystemClock; ``slept`` lists every wait in seconds."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self.time = start
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def elapsed(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
