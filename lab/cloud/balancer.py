"""HAProxy's runtime API, as far as the lab needs it: read the servers' states."""

import csv
import io
import socket
from dataclasses import dataclass

from lab.topology import BACKEND, HAPROXY_PORT, HOST
from machine.errors import CommandError


@dataclass(frozen=True)
class Server:
    """One server of the backend: operational and administrative state."""

    name: str
    operational: str
    administrative: str

    @property
    def serves(self) -> bool:
        """Return whether HAProxy sends new connections to it."""
        return self.operational == "UP" and self.administrative == "ready"


def command(text: str) -> str:
    """Send one command to the runtime API and return the answer."""
    try:
        with socket.create_connection((HOST, HAPROXY_PORT), timeout=5) as connection:
            connection.sendall(text.encode() + b"\n")
            chunks = []
            while chunk := connection.recv(65536):
                chunks.append(chunk)
    except OSError as error:
        raise CommandError(
            f"HAProxy's runtime API on {HOST}:{HAPROXY_PORT} does not answer {text!r}: {error}"
        ) from error
    return b"".join(chunks).decode()


def parse_servers(statistics: str) -> list[Server]:
    """Return the backend's servers from the answer to ``show stat`` (CSV)."""
    rows = csv.DictReader(io.StringIO(statistics.removeprefix("# ")))
    return [
        Server(row["svname"], *_states(row["status"]))
        for row in rows
        if row.get("pxname") == BACKEND and row["svname"] not in ("FRONTEND", "BACKEND")
    ]


def _states(status: str) -> tuple[str, str]:
    """Split ``show stat``'s status column into operational and administrative state."""
    if status.startswith("MAINT"):
        return "DOWN", "maint"
    if status in ("DRAIN", "NOLB"):
        return "UP", "drain"
    return status.split()[0], "ready"


def servers() -> list[Server]:
    """Return the backend's servers as they are now."""
    return parse_servers(command("show stat"))
