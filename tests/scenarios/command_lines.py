"""Write down the command line of every process while something runs: anybody can read them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
EVERY_SECONDS = 0.2


class CommandLines:
    """Look at all processes again and again in a thread of its own, while the block runs.

    :param also: called at each look as well; what it returns is added to ``seen``
    """

    def __init__(self, also: Callable[[], set[bytes]] = set) -> None:
        self.looks = 0
        self._seen: set[bytes] = set()
        self._also = also
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look_again, daemon=True)

    @property
    def seen(self) -> frozenset[bytes]:
        """Return every command line so far."""
        return frozenset(self._seen)

    def __enter__(self) -> CommandLines:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look_again(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            self._seen |= command_lines()
            self._seen |= self._also()
            self.looks += 1


def command_lines() -> set[bytes]:
    """Return the command lines of all processes, their arguments separated by blanks."""
    lines = set()
    for path in PROC.glob("[0-9]*/cmdline"):
        # A process may end between being listed and being read.
        with suppress(OSError):
            lines.add(path.read_bytes().replace(b"\0", b" ").strip())
    return lines - {b""}
