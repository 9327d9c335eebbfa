"""How much memory this machine needs for something, measured while it goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psutil

INTERVAL_S = 1.0


def used_bytes() -> int:
    """Return the memory in use: all but the memory that is available to new programs."""
    memory = psutil.virtual_memory()
    return int(memory.total - memory.available)


class PeakMemory:
    """The peak of used memory above that at the start, measured once a second in a thread.

    The whole machine is measured, because containers belong to it and to none of our processes.
    """

    def __init__(self, used: Callable[[], int] = used_bytes, interval: float = INTERVAL_S) -> None:
        self._used = used
        self._interval = interval
        self.start_bytes = self._highest = used()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def peak_bytes(self) -> int:
        """Return the most that was used so far above the start."""
        self._highest = max(self._highest, self._used())
        return self._highest - self.start_bytes

    def _sample(self) -> None:
        while not self._stop.wait(self._interval):
            self._highest = max(self._highest, self._used())
