"""Greet as a MySQL server does, in TLS if the client asks for it, and agree to everything."""

from __future__ import annotations

import socketserver
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

LONG_PASSWORD, PROTOCOL_41, TLS, TRANSACTIONS = 0x1, 0x200, 0x800, 0x2000
SECURE_CONNECTION, PLUGIN_AUTH = 0x8000, 0x80000
OK = b"\x00\x00\x00\x02\x00\x00\x00"
SALT = b"abcdefgh", b"ijklmnopqrst\x00"


class GreetingDatabase(socketserver.ThreadingTCPServer):
    """The server; ``logins`` are whether each login came in TLS."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self.context = context
        self.logins: list[bool] = []
        super().__init__(("127.0.0.1", 0), _Greeting)

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Greeting(socketserver.BaseRequestHandler):
    server: GreetingDatabase

    def handle(self) -> None:
        # A client that refuses the certificate goes away in the middle.
        with suppress(OSError):
            self._talk()

    def _talk(self) -> None:
        connection: Any = self.request
        offered = LONG_PASSWORD | PROTOCOL_41 | TRANSACTIONS | SECURE_CONNECTION | PLUGIN_AUTH
        if self.server.context is not None:
            offered |= TLS
        _send(connection, 0, b"".join((
            b"\x0a8.0.36\x00", struct.pack("<I", 1), SALT[0], b"\x00",
            struct.pack("<H", offered & 0xFFFF), b"\x21", struct.pack("<H", 2),
            struct.pack("<H", offered >> 16), b"\x15", bytes(10), SALT[1],
            b"mysql_native_password\x00",
        )))  # fmt: skip
        number, packet = _receive(connection)
        in_tls = bool(struct.unpack("<I", packet[:4])[0] & TLS) and self.server.context is not None
        if in_tls:
            assert self.server.context is not None
            connection = self.server.context.wrap_socket(connection, server_side=True)
            number, packet = _receive(connection)
        self.server.logins.append(in_tls)
        _send(connection, number + 1, OK)
        while _receive(connection)[1][:1] != b"\x01":  # COM_QUIT
            _send(connection, 1, OK)


def _send(connection: Any, number: int, packet: bytes) -> None:
    connection.sendall(struct.pack("<I", len(packet))[:3] + bytes([number]) + packet)


def _receive(connection: Any) -> tuple[int, bytes]:
    head = _exactly(connection, 4)
    return head[3], _exactly(connection, struct.unpack("<I", head[:3] + b"\x00")[0])


def _exactly(connection: Any, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError("the client has gone")
        data += part
    return data


@contextmanager
def greeting_database(context: ssl.SSLContext | None) -> Iterator[GreetingDatabase]:
    """Serve on a free port of 127.0.0.1 until the block ends."""
    with GreetingDatabase(context) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
