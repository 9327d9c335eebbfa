"""Receive notifications as a webhook, a mail server, or something that does not answer."""

from __future__ import annotations

import email
import email.policy
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller


class Webhook(ThreadingHTTPServer):
    """Keep what is posted, and answer with a status."""

    daemon_threads = True

    def __init__(self, status: int = 200) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = status
        self.posted: list[tuple[str, Any]] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted.append((self.path, json.loads(body)))
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(b"ok" if self.server.status == 200 else b"out of order")

    def log_message(self, format: str, *args: Any) -> None:
        """Be quiet."""


@contextmanager
def webhook(status: int = 200) -> Iterator[Webhook]:
    """Serve one webhook."""
    server = Webhook(status)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Mailbox:
    """Keep the mails, or refuse them with a reply of one's own."""

    def __init__(self, reply: str) -> None:
        self.reply = reply
        self.envelopes: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.envelopes.append(envelope)
        return self.reply

    def mail(self) -> tuple[Any, Any]:
        """Return the only mail: its envelope and its parsed content."""
        (envelope,) = self.envelopes
        return envelope, email.message_from_bytes(envelope.content, policy=email.policy.default)


class _OnSocket(Controller):
    """Serve on a socket that is bound already, so that nobody else takes its port meanwhile."""

    def __init__(self, mailbox: Mailbox, bound: socket.socket) -> None:
        port = bound.getsockname()[1]
        super().__init__(mailbox, hostname="127.0.0.1", port=port, ready_timeout=30)
        self.bound = bound

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self.bound)


@contextmanager
def mail_server(reply: str = "250 taken") -> Iterator[tuple[int, Mailbox]]:
    """Serve SMTP; return the port and the mailbox."""
    mailbox = Mailbox(reply)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        controller = _OnSocket(mailbox, bound)
        controller.start()
        try:
            yield controller.port, mailbox
        finally:
            controller.stop()


@contextmanager
def silent_server() -> Iterator[int]:
    """Accept connections and never say anything; return the port."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(16)
        yield server.getsockname()[1]
