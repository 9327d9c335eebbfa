"""Speak with one command at work: feed it, hear both of its streams, and know when it has ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Protocol

from paramiko import SSHException

from keystone_rollout.domain.clock import Clock
from keystone_rollout.domain.places.place import SessionDropped, Source, Tell
from keystone_rollout.domain.places.script import is_mark, plain_text
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK

CHUNK = 65536
POLL_SECONDS = 0.05
QUIET_SECONDS = 1.0
"""Seconds for output that is late at a command's end; its children may keep its streams."""

NO_STATUS = -1
BROKEN = (SSHException, EOFError, OSError)
"""The errors of a session that has dropped."""


class Session(Protocol):
    """One command at work. A channel of paramiko is one."""

    def sendall(self, data: bytes, /) -> object: ...

    def shutdown_write(self) -> object: ...

    def recv(self, size: int, /) -> bytes: ...

    def recv_stderr(self, size: int, /) -> bytes: ...

    def settimeout(self, seconds: float | None, /) -> object: ...

    def exit_status_ready(self) -> bool: ...

    def recv_exit_status(self) -> int: ...

    def close(self) -> object: ...


class Late(RuntimeError):
    """A command that has not ended within its limit."""


class Silent(RuntimeError):
    """A command that gave no sign for too long."""


class Heard:
    """The content of one stream: kept as bytes, and told line by line as it comes.

    :param token: of the marks, which are not told
    """

    def __init__(self, tell: Tell, token: str) -> None:
        self.tell = tell
        self.token = token
        self.data = bytearray()
        self._told = 0

    def __call__(self, chunk: bytes) -> None:
        self.data += chunk
        end = self.data.rfind(b"\n") + 1
        if end > self._told:
            self._tell_until(end)

    def finish(self) -> None:
        """Tell the last line, which has no end."""
        self._tell_until(len(self.data))

    def _tell_until(self, end: int) -> None:
        lines = plain_text(bytes(self.data[self._told : end])).split("\n")
        self._told = end
        for line in lines:
            if line.strip() and not is_mark(line, self.token):
                self.tell(line.rstrip())


class _Reader(threading.Thread):
    def __init__(
        self, receive: Callable[[int], bytes], sink: Callable[[bytes], object], clock: Clock
    ) -> None:
        super().__init__(daemon=True)
        self.clock = clock
        self.receive = receive
        self.sink = sink
        self.heard = clock.elapsed()
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            while chunk := self._next():
                self.heard = self.clock.elapsed()
                self.sink(chunk)
        except Exception as error:
            self.error = error

    def _next(self) -> bytes:
        try:
            return self.receive(CHUNK)
        except BROKEN as error:
            raise dropped(error) from error


class _Feeder(threading.Thread):
    def __init__(self, session: Session, source: Iterator[bytes], clock: Clock) -> None:
        super().__init__(daemon=True)
        self.clock = clock
        self.session = session
        self.source = source
        self.fed = clock.elapsed()
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            for chunk in self.source:
                if not self._sent(lambda data=chunk: self.session.sendall(data)):  # type: ignore[misc]
                    return
                self.fed = self.clock.elapsed()
        except Exception as error:  # half of the input must not pass for all of it
            self.error = error
            return
        self._sent(self.session.shutdown_write)

    def _sent(self, action: Callable[[], object]) -> bool:
        """Return False if the command no longer listens; how it ended says whether that is bad."""
        try:
            action()
        except BROKEN:
            return False
        return True


def chunks(source: bytes | Source) -> Iterator[bytes]:
    """Yield what a command gets on its standard input."""
    if not isinstance(source, bytes):
        yield from iter(lambda: source.read(CHUNK), b"")
    elif source:
        yield source


def dropped(error: Exception) -> SessionDropped:
    """Return the error that a broken session means."""
    return SessionDropped(f"the session dropped ({str(error) or type(error).__name__})")


def exchange(
    session: Session,
    source: Iterator[bytes],
    output: Callable[[bytes], object],
    errors: Callable[[bytes], object],
    *,
    limit: float,
    silence: float,
    meanwhile: Callable[[], object],
    clock: Clock = SYSTEM_CLOCK,
) -> int:
    """Return the exit status once the command has ended and both streams are heard.

    Raises SessionDropped; Late and Silent after as many seconds (a sign is output, and input that
    was taken); and what ``source``, ``output`` and ``meanwhile`` raise. The caller closes the
    session.
    """
    session.settimeout(None)
    readers = [
        _Reader(session.recv, output, clock), _Reader(session.recv_stderr, errors, clock),
    ]  # fmt: skip
    feeder = _Feeder(session, source, clock)
    threads: list[_Reader | _Feeder] = [*readers, feeder]
    for thread in threads:
        thread.start()
    now = clock.elapsed()
    end, ended = now + limit, None
    while True:
        now = clock.elapsed()
        heard = max(reader.heard for reader in readers)
        # Asked before the readers are: nothing can come after both have ended.
        if ended is None and session.exit_status_ready():
            ended = now
        alive = any(reader.is_alive() for reader in readers)
        for error in (thread.error for thread in threads if thread.error is not None):
            raise error
        if ended is not None and (not alive or now - max(heard, ended) > QUIET_SECONDS):
            return _status(session)
        if now > end:
            raise Late
        if now - max(heard, feeder.fed) > silence:
            raise Silent
        meanwhile()
        _wait(readers, clock)


def _status(session: Session) -> int:
    status = session.recv_exit_status()
    if status == NO_STATUS:
        raise SessionDropped("the session dropped (no exit status)")
    return status


def _wait(readers: list[_Reader], clock: Clock) -> None:
    alive = [reader for reader in readers if reader.is_alive()]
    if alive:
        alive[0].join(POLL_SECONDS)
    else:
        clock.sleep(POLL_SECONDS)
