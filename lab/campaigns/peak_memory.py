"""How much memory this machine needs for something, measured while it goes on."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from machine.errors import CommandError

MEMINFO = Path("/proc/meminfo")
INTERVAL_S = 1.0


@dataclass(frozen=True)
class Machine:
    """What this machine has: cores, and memory in bytes."""

    cores: int
    memory_bytes: int


def this_machine(meminfo: Path = MEMINFO) -> Machine:
    """Return this machine."""
    return Machine(os.cpu_count() or 1, _read(meminfo)["MemTotal"])


def used_bytes(meminfo: Path = MEMINFO) -> int:
    """Return the memory that is in use: all but what new programs could have."""
    fields = _read(meminfo)
    return fields["MemTotal"] - fields["MemAvailable"]


def _read(meminfo: Path) -> dict[str, int]:
    """Return two fields of /proc/meminfo in bytes; CommandError where one is missing."""
    found = {}
    for line in meminfo.read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in ("MemTotal", "MemAvailable"):
            found[name] = int(rest.split()[0]) * 1024
    if len(found) < 2:
        raise CommandError(
            f"{meminfo} has {', '.join(found) or 'neither'} of MemTotal and MemAvailable: the "
            "memory cannot be measured; Linux 3.14 or later is needed"
        )
    return found


class PeakMemory:
    """Measure the peak of used memory above that at the start, once a second, in a thread.

    The whole machine is measured, because containers belong to it and to none of our processes.
    """

    def __init__(self, meminfo: Path = MEMINFO, interval: float = INTERVAL_S) -> None:
        self._meminfo = meminfo
        self._interval = interval
        self.start_bytes = used_bytes(meminfo)
        self._highest = self.start_bytes
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def peak_bytes(self) -> int:
        """Return the most that was used so far above the start."""
        self._highest = max(self._highest, used_bytes(self._meminfo))
        return self._highest - self.start_bytes

    def _sample(self) -> None:
        while not self._stop.wait(self._interval):
            self._highest = max(self._highest, used_bytes(self._meminfo))
