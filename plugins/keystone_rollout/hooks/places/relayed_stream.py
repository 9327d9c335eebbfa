"""A Unix socket at a place that has only commands: the bytes go through one of them."""

from __future__ import annotations

import socket
from contextlib import AbstractContextManager, ExitStack

from keystone_rollout.domain.clock import Clock
from keystone_rollout.domain.places.script import begin_line, plain_text
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK
from keystone_rollout.hooks.places.exchange import CHUNK, NO_STATUS, POLL_SECONDS, Session


class RelayedStream:
    """A Unix socket elsewhere (domain.places.place.Stream), through a command's own streams.

    :param opening: context whose block is the command's life
    :param token: of the mark before the socket's first byte
    """

    def __init__(
        self,
        opening: AbstractContextManager[Session],
        token: str,
        seconds: float,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._stack = ExitStack()
        self._session = self._stack.enter_context(opening)
        self._session.settimeout(seconds)
        self._mark: bytes | None = begin_line(token)
        self.seconds = seconds
        self.clock = clock

    def __enter__(self) -> RelayedStream:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def sendall(self, data: bytes, /) -> None:
        self._session.sendall(data)

    def shutdown(self, how: int, /) -> None:
        """End what is sent; ValueError for anything else than SHUT_WR."""
        if how != socket.SHUT_WR:
            raise ValueError("only sending can be ended")
        self._session.shutdown_write()

    def recv(self, size: int, /) -> bytes:
        """Return what the socket sent; b"" at its end, OSError if there was no socket."""
        data = self._session.recv(size) if self._mark is None else self._first(size)
        return data or self._end()

    def close(self) -> None:
        self._stack.close()

    def _first(self, size: int) -> bytes:
        """Return the first bytes after the mark, b"" if none came."""
        assert self._mark is not None
        printed = b""
        while chunk := self._session.recv(size):
            printed += chunk
            _noise, mark, own = printed.partition(self._mark)
            if mark:
                self._mark = None
                return own or self._session.recv(size)
        return b""

    def _end(self) -> bytes:
        errors = b"".join(iter(lambda: self._session.recv_stderr(CHUNK), b""))
        end = self.clock.elapsed() + self.seconds
        while not self._session.exit_status_ready() and self.clock.elapsed() < end:
            self.clock.sleep(POLL_SECONDS)
        ready = self._session.exit_status_ready()
        status = self._session.recv_exit_status() if ready else NO_STATUS
        if status == 0 and self._mark is None:
            return b""
        said = " | ".join(plain_text(errors).strip().splitlines()[-3:])
        how = (
            "the session dropped" if status == NO_STATUS else f"it ended with exit status {status}"
        )
        raise ConnectionError(f"{how}: {said}" if said else how)
