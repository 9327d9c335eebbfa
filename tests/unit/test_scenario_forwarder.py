"""The line between the upgrade and the lab, as the scenarios cut it."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from tests.scenarios.forwarder import Forwarder


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            while data := self.request.recv(65536):
                self.request.sendall(data.upper())


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@pytest.fixture
def forwarder() -> Iterator[Forwarder]:
    with _Server(("127.0.0.1", 0), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        with Forwarder(server.server_address[1]) as line:
            yield line
        server.shutdown()
        thread.join()


def connect(forwarder: Forwarder) -> socket.socket:
    return socket.create_connection(("127.0.0.1", forwarder.port), timeout=5)


def ask(connection: socket.socket, text: bytes) -> bytes:
    connection.sendall(text)
    return connection.recv(65536)


def test_everything_is_passed_on_both_ways(forwarder: Forwarder) -> None:
    with connect(forwarder) as first, connect(forwarder) as second:
        assert ask(first, b"show stat") == b"SHOW STAT"
        assert ask(second, b"show sess") == b"SHOW SESS"
        assert ask(first, b"again") == b"AGAIN"


def test_a_large_answer_comes_whole(forwarder: Forwarder) -> None:
    with connect(forwarder) as connection:
        sender = threading.Thread(target=connection.sendall, args=(b"x" * 1_000_000,))
        sender.start()
        received = b""
        while len(received) < 1_000_000:
            received += connection.recv(65536)
        sender.join()
    assert received == b"X" * 1_000_000


def test_an_end_of_input_is_passed_on(forwarder: Forwarder) -> None:
    with connect(forwarder) as connection:
        connection.sendall(b"last words")
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    assert received == b"LAST WORDS"


def test_a_cut_resets_what_is_open(forwarder: Forwarder) -> None:
    with connect(forwarder) as connection:
        assert ask(connection, b"before") == b"BEFORE"
        forwarder.cut()
        with pytest.raises(ConnectionResetError):
            connection.recv(65536)


def test_a_cut_wakes_a_client_that_waits(forwarder: Forwarder) -> None:
    seen: list[type[BaseException]] = []

    def wait(connection: socket.socket) -> None:
        try:
            connection.recv(65536)
        except OSError as error:
            seen.append(type(error))

    with connect(forwarder) as connection:
        assert ask(connection, b"before") == b"BEFORE"
        waiting = threading.Thread(target=wait, args=(connection,))
        waiting.start()
        time.sleep(0.1)
        forwarder.cut()
        waiting.join(5)
        assert not waiting.is_alive()
    assert seen == [ConnectionResetError]


def test_a_cut_refuses_new_connections_until_restored(forwarder: Forwarder) -> None:
    port = forwarder.port
    forwarder.cut()
    with pytest.raises(ConnectionRefusedError):
        connect(forwarder)
    forwarder.restore()
    assert forwarder.port == port
    with connect(forwarder) as connection:
        assert ask(connection, b"after") == b"AFTER"


def test_cut_and_restore_may_be_repeated(forwarder: Forwarder) -> None:
    forwarder.cut()
    forwarder.cut()
    forwarder.restore()
    forwarder.restore()
    with connect(forwarder) as connection:
        assert ask(connection, b"still") == b"STILL"


def test_a_target_that_is_gone_is_a_reset() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = int(probe.getsockname()[1])
    with Forwarder(closed) as line, pytest.raises(ConnectionResetError), connect(line) as gone:
        gone.recv(65536)
