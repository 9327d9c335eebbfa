"""What a place gives and takes: a place is where a command runs (hooks.places.shell)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

Tell = Callable[[str], object]
"""A function that gets each line of a command's output as soon as it is printed."""


@dataclass(frozen=True)
class Finished:
    """The exit status and the output of a script.

    ``output`` is the script's own: no greeting, no escape sequence. ``errors`` may hold a locale's
    warning or a banner beside the script's words, so it is for people, and is never parsed.
    """

    status: int
    output: str
    errors: str


class PlaceError(RuntimeError):
    """An end of a script about which nothing is known, and why."""


class SessionDropped(PlaceError):
    """A session that ended before its script, which may still run."""


class NoAnswer(PlaceError):
    """A script that gave no sign for too long; it may still run."""


class Incomplete(PlaceError):
    """A script with exit status 0 whose output is incomplete."""


class TimedOut(PlaceError):
    """A script that was ended with all its processes, and its output until then."""

    def __init__(self, limit: float, finished: Finished) -> None:
        super().__init__(f"it had not ended within {limit:g} s, and was ended")
        self.finished = finished


class Stream(Protocol):
    """A connected byte stream. A socket is one."""

    def sendall(self, data: bytes, /) -> None: ...

    def recv(self, size: int, /) -> bytes:
        """Return what has arrived, b"" at the end; OSError if it ended badly or takes too long."""
        ...

    def shutdown(self, how: int, /) -> None: ...

    def close(self) -> None: ...


class Source(Protocol):
    """What a command gets on its standard input. A binary file is one."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, b"" at the end."""
        ...
