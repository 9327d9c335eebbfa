"""A database server that lets everybody in and agrees to everything: for the real client."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

QUIT, QUERY = 1, 3
CAPABILITIES = 0x0008F7DF  # 4.1 protocol, plugin authentication, LOAD DATA LOCAL, no compression
ALL_IS_WELL = b"\x00\x00\x00\x02\x00\x00\x00"
NOT_OURS = b"\xff" + (1064).to_bytes(2, "little") + b"#42000"


class AgreeingDatabase:
    """What a client asked one server, and what the server asked of it.

    A statement with `LOCAL INFILE` is answered by asking for the file that it names; one with
    `SYNTAX` by an error that quotes it, as a server does.
    """

    def __init__(self) -> None:
        self.statements: list[bytes] = []
        self.files: list[bytes] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])

    def serve(self) -> None:
        """Answer clients until the listener is closed."""
        while True:
            try:
                client, _address = self.listener.accept()
            except OSError:
                return
            with client:
                try:
                    self._answer(client)
                except (OSError, EOFError):
                    continue

    def _answer(self, client: socket.socket) -> None:
        low, high = CAPABILITIES & 0xFFFF, CAPABILITIES >> 16
        greeting = (
            b"\x0a5.5.5-10.11.19-MariaDB\x00" + (1).to_bytes(4, "little") + b"saltsalt\x00"
            + low.to_bytes(2, "little") + b"\x2d\x02\x00" + high.to_bytes(2, "little")
            + b"\x15" + bytes(10) + b"saltsaltsalt\x00mysql_native_password\x00"
        )  # fmt: skip
        _send(client, 0, greeting)
        _receive(client)
        _send(client, 2, ALL_IS_WELL)
        while True:
            _number, packet = _receive(client)
            if packet[0] == QUIT:
                return
            if packet[0] == QUERY:
                self._run(client, packet[1:])
            else:
                _send(client, 1, ALL_IS_WELL)

    def _run(self, client: socket.socket, statement: bytes) -> None:
        self.statements.append(statement)
        if b"LOCAL INFILE" in statement:
            _send(client, 1, b"\xfb" + statement.split(b"'")[1])
            content = b""
            number, part = _receive(client)
            while part:
                content += part
                number, part = _receive(client)
            self.files.append(content)
            _send(client, number + 1, ALL_IS_WELL)
        elif b"SYNTAX" in statement:
            text = b"You have an error in your SQL syntax near '" + statement + b"' at line 1"
            _send(client, 1, NOT_OURS + text)
        else:
            _send(client, 1, ALL_IS_WELL)


@contextmanager
def agreeing_database() -> Iterator[AgreeingDatabase]:
    """Run such a server for a block, on a port of 127.0.0.1."""
    server = AgreeingDatabase()
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()
        thread.join(5)


def _send(client: socket.socket, number: int, packet: bytes) -> None:
    client.sendall(len(packet).to_bytes(3, "little") + bytes([number]) + packet)


def _receive(client: socket.socket) -> tuple[int, bytes]:
    head = _exactly(client, 4)
    return head[3], _exactly(client, int.from_bytes(head[:3], "little"))


def _exactly(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = client.recv(size - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data
