"""Talk to one HAProxy over its runtime API."""

from __future__ import annotations

import csv
import io
import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from keystone_rollout.domain.clock import Clock
from keystone_rollout.domain.node.server import ServerState
from keystone_rollout.domain.places.place import Stream
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK
from keystone_rollout.hooks.places.shell import ShellPlace

TIMEOUT = 10.0
"""Seconds until a command counts as unanswered, without a cloud file."""


class HaproxyError(RuntimeError):
    """A command that an HAProxy refused or did not answer."""


@dataclass(frozen=True)
class HaproxyProcess:
    """The process that answers, by `show info`: a new one has forgotten what was set."""

    identity: tuple[str, str]
    """Process id, and when it started; a container's has the same id each time."""
    uptime: int

    def replaced(self, before: HaproxyProcess) -> bool:
        """Tell whether it is another one than answered before."""
        return self.identity != before.identity or self.uptime < before.uptime


# srv_admin_state is a bit field. `disabled` in HAProxy's own configuration (0x04) is left out: it
# stays set after `set server ... state ready`, while the server serves.
_MAINT = 0x01 | 0x02 | 0x20
_DRAIN = 0x08 | 0x10


def administrative_state(flags: int) -> str:
    """Translate `srv_admin_state` of `show servers state` (a bit field) into its name."""
    if flags & _MAINT:
        return "maint"
    if flags & _DRAIN:
        return "drain"
    return "ready"


class Door(Protocol):
    """A way to a runtime API (level admin), taken anew for each command."""

    @property
    def timeout(self) -> float:
        """Return the seconds for connecting, and for each part of the answer."""
        ...

    def open(self) -> Stream:
        """Return a connected stream; OSError if there is none."""
        ...

    def __str__(self) -> str:
        """Return what messages call it."""
        ...


class TcpDoor:
    """A runtime API that listens on TCP.

    :param address: returns host and port, at each command
    """

    def __init__(self, address: Callable[[], tuple[str, int]], timeout: float = TIMEOUT) -> None:
        self.address = address
        self.timeout = timeout

    def open(self) -> Stream:
        return socket.create_connection(self.address(), self.timeout)

    def __str__(self) -> str:
        host, port = self.address()
        return f"{host}:{port}"


class SocketDoor:
    """A runtime API that is a Unix socket at a place."""

    def __init__(self, place: ShellPlace, path: str, timeout: float = TIMEOUT) -> None:
        self.place = place
        self.path = path
        self.timeout = timeout

    def open(self) -> Stream:
        return self.place.socket(self.path, self.timeout)

    def __str__(self) -> str:
        return f"{self.path}, {self.place}"


class RuntimeApi:
    """The servers of one backend, read and set.

    :param name: what messages call this HAProxy
    :param door: the way to its runtime API
    :param backend: backend that holds the Keystone servers
    """

    def __init__(self, name: str, door: Door, backend: str, clock: Clock = SYSTEM_CLOCK) -> None:
        self.name = name
        self.door = door
        self.backend = backend
        self.clock = clock

    def command(self, text: str) -> str:
        """Send one command and return the answer; HaproxyError without one."""
        try:
            with closing(self.door.open()) as stream:
                stream.sendall(text.encode() + b"\n")
                stream.shutdown(socket.SHUT_WR)
                chunks = list(iter(lambda: stream.recv(65536), b""))
        except OSError as error:
            late = isinstance(error, TimeoutError)
            limit = f", limit {self.door.timeout:g} s (limits.connect_seconds)" if late else ""
            raise HaproxyError(
                f"HAProxy runtime API {self.name} ({self.door}) does not answer '{text}': "
                f"{error}{limit}. "
                "Next: check `stats socket` and that it can be reached"
            ) from error
        return b"".join(chunks).decode(errors="replace")

    def level(self) -> str:
        """Return the right this connection has: user, operator or admin."""
        answer = self.command("show cli level")
        return answer.strip().splitlines()[-1].rsplit(" ", 1)[-1] if answer.strip() else "none"

    def process(self) -> HaproxyProcess:
        """Return the process that answers; HaproxyError if it does not say which one it is."""
        answer = self.command("show info")
        facts = dict(line.split(": ", 1) for line in answer.splitlines() if ": " in line)
        try:
            # Start_time_sec is not in old releases; their uptime begins anew.
            identity = facts["Pid"], facts.get("Start_time_sec", "")
            return HaproxyProcess(identity, int(facts["Uptime_sec"]))
        except (KeyError, ValueError) as error:
            raise HaproxyError(
                f"HAProxy {self.name} does not say which process it is: {answer.strip()[:200]!r}"
            ) from error

    def servers(self) -> dict[str, ServerState]:
        """Return the backend's servers by name; HaproxyError if there is no such backend."""
        state = self.command(f"show servers state {self.backend}")
        rows = [line.split() for line in state.splitlines()]
        header = next((row[1:] for row in rows if row[:1] == ["#"]), [])
        admin = {
            entry["srv_name"]: administrative_state(int(entry["srv_admin_state"]))
            for entry in (dict(zip(header, row, strict=False)) for row in rows)
            if entry.get("be_name") == self.backend
        }
        if not admin:
            raise HaproxyError(
                f"HAProxy {self.name} knows no backend {self.backend!r} with servers: "
                f"{state.strip()[:200]!r}. Next: name one that `show stat` lists"
            )
        stat = csv.DictReader(io.StringIO(self.command("show stat").lstrip("# ")))
        return {
            row["svname"]: ServerState(
                name=row["svname"],
                operational=row["status"].split()[0],
                administrative=admin[row["svname"]],
                sessions=int(row["scur"] or 0),
            )
            for row in stat
            if row["pxname"] == self.backend and row["svname"] in admin
        }

    def server(self, name: str) -> ServerState:
        """Return one server; HaproxyError lists the known ones."""
        servers = self.servers()
        if name not in servers:
            raise HaproxyError(
                f"HAProxy {self.name} knows no server {name!r} in backend {self.backend!r}; "
                f"it has {', '.join(servers)}"
            )
        return servers[name]

    def set_state(self, server: str, state: str) -> None:
        """Set a server ready, drain or maint, and check that HAProxy took it."""
        answer = self.command(f"set server {self.backend}/{server} state {state}").strip()
        if answer:
            raise HaproxyError(f"HAProxy {self.name} refused {server} {state}: {answer}")
        measured = self.server(server).administrative
        if measured != state:
            raise HaproxyError(f"HAProxy {self.name}: {server} is {measured}, asked: {state}")

    def cut_sessions(self, server: str) -> None:
        """End a server's sessions; their clients see a broken connection."""
        answer = self.command(f"shutdown sessions server {self.backend}/{server}").strip()
        if answer:
            raise HaproxyError(f"HAProxy {self.name} did not cut {server}'s sessions: {answer}")

    def wait(
        self, server: str, what: str, done: Callable[[ServerState], bool], limit: float
    ) -> None:
        """Wait until a server's state satisfies ``done``; HaproxyError after ``limit`` seconds."""
        end = self.clock.elapsed() + limit
        while True:
            state = self.server(server)
            if done(state):
                return
            if self.clock.elapsed() > end:
                raise HaproxyError(
                    f"{server} on {self.name}: {what} not reached after {limit:g} s, "
                    f"measured {state}"
                )
            self.clock.sleep(0.2)
