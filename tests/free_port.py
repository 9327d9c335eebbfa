"""A port of 127.0.0.1 that nobody listens on."""

from __future__ import annotations

import socket


def free_port() -> int:
    """Return a port at which nobody answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
