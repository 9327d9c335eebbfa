"""Hold a client's request to one server open: what keeps a drained server from being empty."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from lab.cloud import balancer
from lab.topology import HOST, PUBLIC_PORT

ATTEMPTS = 9
BODY_BYTES = 100_000
SETTLED_SECONDS = 1
"""Age from which a session is not one of the load's, which last some milliseconds."""

REQUEST = (
    "POST /v3/auth/tokens HTTP/1.1\r\n"
    f"Host: {HOST}\r\n"
    "Content-Type: application/json\r\n"
    f"Content-Length: {BODY_BYTES}\r\n\r\n"
)
_SESSION = re.compile(r"^(0x[0-9a-f]+): .*\bsrv=(\S+) .*\bage=(\S+)", re.MULTILINE)
_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


@dataclass(frozen=True)
class Session:
    """Hold one line of `show sess`: its id, the server it is with, its age in seconds."""

    id: str
    server: str
    age: int


def parse_sessions(text: str) -> list[Session]:
    """Read the answer to `show sess`; sessions that are with no server are left out."""
    return [
        Session(found, server, _seconds(age))
        for found, server, age in _SESSION.findall(text)
        if not server.startswith("<")
    ]


def _seconds(age: str) -> int:
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([dhms])", age))


@contextmanager
def held_session(
    server: str,
    port: int = PUBLIC_PORT,
    command: Callable[[str], str] = balancer.command,
    attempts: int = ATTEMPTS,
) -> Iterator[None]:
    """Hold a session with one server while the block runs.

    HAProxy chooses the server, so requests are begun until one is with the wanted one, and the
    others are given up. AssertionError where none of them is.
    """
    with _Trickle() as trickle:
        for _ in range(attempts):
            known = {session.id for session in _settled(command)}
            connection = trickle.begin(port)
            session = _new_session(command, known)
            if session is not None and session.server == server:
                trickle.give_up_all_but(connection)
                break
        else:
            raise AssertionError(f"none of {attempts} requests was sent to {server}")
        yield


def _settled(command: Callable[[str], str]) -> list[Session]:
    return [
        session
        for session in parse_sessions(command("show sess"))
        if session.age >= SETTLED_SECONDS
    ]


def _new_session(command: Callable[[str], str], known: set[str]) -> Session | None:
    """Return the session that was begun last, once it is settled."""
    end = time.monotonic() + 2.0 + SETTLED_SECONDS
    while time.monotonic() < end:
        time.sleep(0.3)
        new = [session for session in _settled(command) if session.id not in known]
        # One look more: a slow request of the load is gone by then.
        time.sleep(0.3)
        still = {session.id for session in _settled(command)}
        new = [session for session in new if session.id in still]
        if new:
            return min(new, key=lambda session: session.age)
    return None


class _Trickle:
    """Send a byte a second on every request, because uwsgi gives up after four without one."""

    def __init__(self) -> None:
        self._connections: list[socket.socket] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)

    def __enter__(self) -> _Trickle:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        self.give_up_all_but(None)

    def begin(self, port: int) -> socket.socket:
        """Begin a request whose body does not end."""
        connection = socket.create_connection((HOST, port), timeout=5)
        connection.sendall(REQUEST.encode() + b"{")
        with self._lock:
            self._connections.append(connection)
        return connection

    def give_up_all_but(self, kept: socket.socket | None) -> None:
        """Close all requests but one."""
        with self._lock:
            given_up = [one for one in self._connections if one is not kept]
            self._connections = [one for one in self._connections if one is kept]
        for connection in given_up:
            connection.close()

    def _send(self) -> None:
        while not self._stop.wait(1.0):
            with self._lock:
                connections = list(self._connections)
            for connection in connections:
                # The other side may have given up; whoever waits for it finds out by itself.
                with suppress(OSError):
                    connection.sendall(b" ")
