"""Servers on 127.0.0.1 that never answer: one swallows everything, one takes no connection."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress


@contextmanager
def swallowing_server(greeting: bytes = b"") -> Iterator[int]:
    """Accept every connection and read what comes, without a word but the greeting; the port."""
    with ExitStack() as open_sockets, socket.create_server(("127.0.0.1", 0)) as listener:

        def swallow(connection: socket.socket) -> None:
            with suppress(OSError):
                connection.sendall(greeting)
                while connection.recv(65536):
                    pass

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection = open_sockets.enter_context(listener.accept()[0])
                    threading.Thread(target=swallow, args=[connection], daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield int(listener.getsockname()[1])
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


@contextmanager
def full_server() -> Iterator[int]:
    """Listen with a full backlog, so that no connection is ever taken; the port."""
    with ExitStack() as waiting, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield int(listener.getsockname()[1])
