"""Whether a line that is cut, or swallows everything, looks so to both of its ends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.scenarios.forwarder import Forwarder


@pytest.fixture
def line() -> Iterator[Forwarder]:
    """Forward to a server that answers what it is sent."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_echo, args=(server,), daemon=True).start()
        with Forwarder(server.getsockname()[1]) as forwarder:
            yield forwarder


def _echo(server: socket.socket) -> None:
    def answer(connection: socket.socket) -> None:
        with suppress(OSError):
            while data := connection.recv(100):
                connection.sendall(data)

    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=answer, args=(connection,), daemon=True).start()


def _connect(line: Forwarder) -> socket.socket:
    return socket.create_connection(("127.0.0.1", line.port), timeout=2)


def _asks(connection: socket.socket) -> bytes:
    connection.sendall(b"who is there")
    return connection.recv(100)


def test_what_is_sent_is_passed_on_and_answered(line: Forwarder) -> None:
    with _connect(line) as connection:
        assert _asks(connection) == b"who is there"


def test_a_line_that_swallows_takes_connections_and_answers_nothing(line: Forwarder) -> None:
    with _connect(line) as before:
        assert _asks(before)
        line.swallow()
        with _connect(line) as after:
            for connection in (before, after):
                connection.settimeout(0.3)
                with pytest.raises(TimeoutError):
                    _asks(connection)
        line.restore()
        with pytest.raises(ConnectionError):
            _asks(before)
    with _connect(line) as connection:
        assert _asks(connection) == b"who is there"


@pytest.mark.parametrize("silent_before", [False, True])
def test_a_line_that_is_cut_refuses_until_it_is_restored(
    line: Forwarder, silent_before: bool
) -> None:
    if silent_before:
        line.swallow()
    line.cut()
    with pytest.raises(ConnectionRefusedError):
        _connect(line)
    line.restore()
    with _connect(line) as connection:
        assert _asks(connection) == b"who is there"
