"""Forward TCP connections, and cut them as a broken line would: what a fault in a network is."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from types import TracebackType

CHUNK = 65536
LINGER_NOTHING = struct.pack("ii", 1, 0)


class Forwarder:
    """Listen on a free port of 127.0.0.1 and pass everything on to another one.

    Transparent until `cut`, which resets the connections there are and refuses new ones;
    `swallow` takes connections and bytes, and answers nothing, as a firewall does that has
    forgotten them; `restore` lets new ones through again, on the same port.

    :param port: port of 127.0.0.1 that the connections are passed on to
    """

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._lock = threading.Lock()
        self._live: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.swallows = False
        self.port = 0
        self.restore()

    def __enter__(self) -> Forwarder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cut()

    def cut(self) -> None:
        """Reset every connection, and refuse new ones."""
        with self._lock:
            listener, self._listener = self._listener, None
            live, self._live = self._live, set()
        if listener is not None:
            # Without it a thread that blocks in accept() would keep the port open.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for each in live:
            _reset(each)

    def swallow(self) -> None:
        """Take every connection and every byte, and answer nothing."""
        self.swallows = True

    def restore(self) -> None:
        """Let new connections through; harmless where they already are."""
        if self.swallows:
            # What has lost bytes must not go on.
            self.cut()
            self.swallows = False
        with self._lock:
            if self._listener is not None:
                return
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", self.port))
            listener.listen(64)
            self.port = int(listener.getsockname()[1])
            self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target, timeout=5)
            except OSError:
                _reset(client)
                continue
            server.settimeout(None)
            self._pass_on(listener, client, server)

    def _pass_on(
        self, listener: socket.socket, client: socket.socket, server: socket.socket
    ) -> None:
        with self._lock:
            # A cut that came between accept and here must not leave this one alive.
            if self._listener is not listener:
                _reset(client)
                _reset(server)
                return
            self._live |= {client, server}
        pair = _Pair(self, client, server)
        for source, sink in ((client, server), (server, client)):
            threading.Thread(target=pair.copy, args=(source, sink), daemon=True).start()

    def is_live(self, end: socket.socket) -> bool:
        """Tell whether a connection has neither ended nor been cut."""
        with self._lock:
            return end in self._live

    def forget(self, *ends: socket.socket) -> None:
        """Close two ends of a connection that has ended by itself."""
        with self._lock:
            ours = [end for end in ends if end in self._live]
            self._live -= set(ends)
        for end in ours:
            end.close()


class _Pair:
    """Copy both ways between a client and a server until both have said all they have to say."""

    def __init__(self, forwarder: Forwarder, *ends: socket.socket) -> None:
        self._forwarder = forwarder
        self._ends = ends
        self._open = len(ends)
        self._lock = threading.Lock()

    def copy(self, source: socket.socket, sink: socket.socket) -> None:
        """Copy one way; the end of one direction is passed on, the other may still speak."""
        try:
            for chunk in _chunks(source):
                if not self._forwarder.swallows:
                    sink.sendall(chunk)
            # A cut ends the input as well, and has to arrive as a reset and not as a goodbye.
            if self._forwarder.is_live(source):
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            # An end that was reset must not leave the other one waiting.
            for end in self._ends:
                if self._forwarder.is_live(end):
                    with contextlib.suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open -= 1
            last = self._open == 0
        if last:
            self._forwarder.forget(*self._ends)


def _chunks(source: socket.socket) -> Iterator[bytes]:
    while chunk := source.recv(CHUNK):
        yield chunk


def _reset(connection: socket.socket) -> None:
    """Close with a reset instead of a goodbye, as a peer that is gone answers."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOTHING)
    # A thread that blocks in recv() holds the connection open beyond close().
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RD)
    connection.close()
