"""The common parts of all places: marks, limits, and byte streams over a command."""

from __future__ import annotations

import logging
import math
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import IO

from keystone_rollout.domain.clock import Clock
from keystone_rollout.domain.places.place import (
    Finished,
    Incomplete,
    NoAnswer,
    PlaceError,
    Source,
    Stream,
    Tell,
    TimedOut,
)
from keystone_rollout.domain.places.script import (
    ENDED,
    begin_line,
    marked,
    opened,
    plain_text,
    relay,
    said,
)
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK
from keystone_rollout.hooks.places.exchange import (
    BROKEN,
    Heard,
    Late,
    Session,
    Silent,
    chunks,
    exchange,
)
from keystone_rollout.hooks.places.relayed_stream import RelayedStream

log = logging.getLogger(__name__)

ANSWER_SECONDS = 30.0
"""Seconds beyond a limit that is kept elsewhere, so that its end is noticed here."""

DAY = 24 * 3600.0

_INCOMPLETE = (
    "it ended with exit status 0, but its marks are missing: something else may have run in its "
    "place, such as a command that the account's key or sshd forces"
)


def _nothing() -> None:
    pass


class ShellPlace(ABC):
    """A place with a shell; subclasses start a command there."""

    clock: Clock = SYSTEM_CLOCK
    shell = "bash"
    late_seconds = ANSWER_SECONDS
    """How long after its limit a command is given up here. 0: it is ended from here."""

    @abstractmethod
    def open(
        self, script: str, limit: float, connect_seconds: float = 0.0
    ) -> AbstractContextManager[Session]:
        """Start a script, which ends with its group after ``limit`` seconds or with the block."""

    def run(
        self,
        script: str,
        *,
        input: bytes | IO[bytes] = b"",
        limit: float,
        tell: Tell | None = None,
        meanwhile: Callable[[], object] | None = None,
        silence: float = math.inf,
        connect_seconds: float = 0.0,
    ) -> Finished:
        """Run a shell script to its end.

        No secret belongs into ``script``, which `ps` shows, but into ``input``, its standard input.
        After ``limit`` seconds the script is ended with its process group, and TimedOut raised.
        ``tell`` gets each line instead of the log; ``meanwhile`` is called several times a second.
        Raises PlaceError, and the errors of the place's connection if it cannot be opened.

        ``silence`` is after how many seconds without a sign the script is given up (NoAnswer),
        ``connect_seconds`` for how long a connection that cannot be opened is tried again.
        """
        token = secrets.token_hex(8)
        printed, errors = Heard(tell or log.info, token), Heard(tell or log.warning, token)

        def finished(status: int) -> Finished:
            return _finished(status, bytes(printed.data), bytes(errors.data), token)

        log.info("%s runs: %s", self, script)
        began = self.clock.elapsed()
        try:
            with self.open(marked(script, token, self.shell), limit, connect_seconds) as session:
                status = exchange(
                    session, chunks(input), printed, errors, limit=limit + self.late_seconds,
                    silence=silence, meanwhile=meanwhile or _nothing, clock=self.clock,
                )  # fmt: skip
        except Silent:
            raise NoAnswer(f"it gave no sign for {silence:g} s") from None
        except Late:
            raise self._late(limit, finished(max(ENDED))) from None
        finally:
            printed.finish()
            errors.finish()
        came_to_its_end = said(bytes(printed.data), token).status is not None
        if status in ENDED and self.clock.elapsed() - began > limit and not came_to_its_end:
            raise TimedOut(limit, finished(status))
        return finished(status)

    def _late(self, limit: float, finished: Finished) -> PlaceError:
        if self.late_seconds:
            return NoAnswer(f"it had not ended within {limit + self.late_seconds:g} s")
        return TimedOut(limit, finished)

    def pipe(
        self,
        script: str,
        *,
        input: Source | None = None,
        output: IO[bytes] | None = None,
        limit: float,
        tell: Tell | None = None,
        silence: float = math.inf,
    ) -> Finished:
        """Run a script between two binary streams, neither of which is read as text.

        ``tell`` gets each line of its errors instead of the log; output before the script's own is
        cut off. ``silence`` is after how many seconds without a byte in or out it is given up
        (NoAnswer).
        """
        token = secrets.token_hex(8)
        own, errors = _Own(token, output), Heard(tell or log.warning, token)
        began = self.clock.elapsed()
        try:
            with self.open(opened(script, token), limit) as session:
                status = exchange(
                    session, chunks(input or b""), own, errors, limit=limit + self.late_seconds,
                    silence=silence, meanwhile=_nothing, clock=self.clock,
                )  # fmt: skip
        except Silent:
            raise NoAnswer(f"it gave no sign for {silence:g} s") from None
        except Late:
            raise self._late(limit, Finished(max(ENDED), "", plain_text(errors.data))) from None
        finally:
            errors.finish()
        finished = Finished(status, "", plain_text(errors.data))
        if status in ENDED and self.clock.elapsed() - began > limit:
            raise TimedOut(limit, finished)
        if status == 0 and not own.begun:
            raise Incomplete(_INCOMPLETE)
        return finished

    def socket(self, path: str, seconds: float) -> Stream:
        """Connect to a Unix socket through a program that stands beside it; OSError if that fails.

        ``seconds`` is the limit for connecting, and for each recv after it.
        """
        token = secrets.token_hex(8)
        # Closing ends it; its own limit is for the case that nobody closes it.
        opening = self.open(opened(self._relay(path), token), DAY)
        try:
            return RelayedStream(opening, token, seconds, self.clock)
        except (PlaceError, *BROKEN) as error:
            raise ConnectionError(f"{self}: {str(error) or type(error).__name__}") from error

    def _relay(self, path: str) -> str:
        return relay(path)


class _Own:
    """A stream that gets a script's own bytes, without the noise before them."""

    def __init__(self, token: str, stream: IO[bytes] | None) -> None:
        self.mark = begin_line(token)
        self.stream = stream
        self.begun = False
        self._before = b""

    def __call__(self, chunk: bytes) -> None:
        if not self.begun:
            _noise, mark, own = (self._before + chunk).partition(self.mark)
            self.begun = bool(mark)
            self._before = b"" if mark else self._before + chunk
            chunk = own
        if self.begun and self.stream is not None:
            self.stream.write(chunk)


def _finished(status: int, printed: bytes, errors: bytes, token: str) -> Finished:
    own = said(printed, token)
    if own.status is not None:
        return Finished(own.status, plain_text(own.output), plain_text(errors))
    if status == 0:
        raise Incomplete(_INCOMPLETE)
    # A login that refuses says why on standard output, too; that is not the script's.
    noise = b"" if own.begun else printed
    return Finished(status, plain_text(own.output), plain_text(errors + noise))
