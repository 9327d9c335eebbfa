"""A place: where a command runs, and where a Unix socket is reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Protocol

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


class Place(Protocol):
    """This machine, an SSH connection, or a container on either."""

    def run(
        self,
        script: str,
        *,
        input: bytes | IO[bytes] = b"",
        limit: float,
        tell: Tell | None = None,
        meanwhile: Callable[[], object] | None = None,
    ) -> Finished:
        """Run a shell script to its end.

        No secret belongs into ``script``, which `ps` shows, but into ``input``, its standard input.
        After ``limit`` seconds the script is ended with its process group, and TimedOut raised.
        ``tell`` gets each line instead of the log; ``meanwhile`` is called several times a second.
        Raises PlaceError, and the errors of the place's connection if it cannot be opened.
        """
        ...

    def pipe(
        self,
        script: str,
        *,
        input: Source | None = None,
        output: IO[bytes] | None = None,
        limit: float,
        tell: Tell | None = None,
    ) -> Finished:
        """Run a script between two binary streams, neither of which is read as text.

        ``tell`` gets each line of its errors instead of the log.
        """
        ...

    def socket(self, path: str, seconds: float) -> Stream:
        """Connect to a Unix socket; OSError if that fails.

        ``seconds`` is the limit for connecting, and for each recv after it.
        """
        ...
