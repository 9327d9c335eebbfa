"""Speak HAProxy 2.6's runtime API over a real TCP or Unix socket, from memory."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

STATE_HEADER = (
    "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight "
    "srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health "
    "srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord "
    "srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port"
)
STAT_HEADER = "# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,"
STAT_HEADER += "wretr,wredis,status,weight,act,bck,chkfail,chkdown,lastchg,downtime,qlimit,"


@dataclass
class Server:
    """Hold one server: the administrative bit field, whether its check succeeds, its sessions."""

    admin: int = 0
    alive: bool = True
    sessions: int = 0

    @property
    def status(self) -> str:
        """Return the status as `show stat` prints it."""
        if self.admin & 0x23:
            return "MAINT"
        if not self.alive:
            return "DOWN 1/2"
        return "DRAIN" if self.admin & 0x18 else "UP"


@dataclass
class Balancer:
    """Hold one backend's servers and what was asked of them."""

    backend: str = "keystone"
    level: str = "admin"
    servers: dict[str, Server] = field(
        default_factory=lambda: {f"keystone-{number}": Server() for number in (1, 2, 3)}
    )
    deaf: bool = False
    """Acknowledge `set server` without doing it."""
    commands: list[str] = field(default_factory=list)
    port: int = 0
    pid: int = 8
    started: int = 1_700_000_000
    tells_start: bool = True
    """Whether `show info` has Start_time_sec; old releases have not."""
    uptime: int = 100

    def restart(self) -> None:
        """Forget what was set, as a new process does; in a container its id is the same."""
        self.started += self.uptime
        self.uptime = 0
        for server in self.servers.values():
            server.admin = 0

    def answer(self, command: str) -> str:
        """Return what HAProxy prints for one command, without the closing empty line."""
        self.commands.append(command)
        words = command.split()
        if words[:3] == ["show", "servers", "state"]:
            return self._state(words[3] if len(words) > 3 else None)
        if words == ["show", "stat"]:
            return self._stat()
        if words == ["show", "info"]:
            self.uptime += 1
            start = f"Start_time_sec: {self.started}\n" if self.tells_start else ""
            return f"Name: HAProxy\nPid: {self.pid}\nUptime_sec: {self.uptime}\n{start}"
        if words == ["show", "cli", "level"]:
            return f"{self.level}\n"
        if words[:2] == ["set", "server"]:
            return self._set(words[2], words[4])
        return f"Unknown command: '{words[0]}', but maybe one of the following ones is a better..."

    def _state(self, backend: str | None) -> str:
        if backend not in (None, self.backend):
            return "Can't find backend.\n"
        rows = ["1", STATE_HEADER]
        for number, (name, server) in enumerate(self.servers.items(), start=1):
            up = 2 if server.alive and not server.admin & 0x23 else 0
            rows.append(
                f"3 {self.backend} {number} {name} 172.18.0.{number} {up} {server.admin} 1 1 "
                "99 6 3 4 6 0 0 0 - 5000 - 0 0 - - 0"
            )
        return "\n".join(rows) + "\n"

    def _stat(self) -> str:
        rows = [STAT_HEADER, f"keystone_front,FRONTEND,,,3,9,4096,70,1,1,0,0,0,,,,,OPEN,{',' * 8}"]
        for name, server in self.servers.items():
            rows.append(
                f"{self.backend},{name},0,0,{server.sessions},4,,70,1,1,,0,,0,0,0,0,"
                f"{server.status},1,1,0,0,0,99,0,,"
            )
        rows.append(f"{self.backend},BACKEND,0,0,3,9,410,70,1,1,0,0,,0,0,0,0,UP,3,3,0,,0,99,0,,")
        rows.append("other,keystone-1,0,0,9,9,,9,1,1,,0,,0,0,0,0,DOWN,1,1,0,0,0,99,0,,")
        return "\n".join(rows) + "\n"

    def _set(self, path: str, state: str) -> str:
        if self.level != "admin":
            return "Permission denied\n"
        backend, _slash, name = path.partition("/")
        if backend != self.backend:
            return "No such backend.\n"
        if name not in self.servers:
            return "No such server.\n"
        if not self.deaf:
            # HAProxy keeps the bit of `disabled` in the configuration (0x04), whatever is set.
            kept = self.servers[name].admin & 0x04
            self.servers[name].admin = kept | {"ready": 0x00, "drain": 0x08, "maint": 0x01}[state]
        return "\n"


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Server | _UnixServer)
        command = self.rfile.readline().decode().strip()
        self.wfile.write((self.server.balancer.answer(command) + "\n").encode())


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    balancer: Balancer


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    balancer: Balancer


@contextmanager
def in_memory_haproxy(balancer: Balancer, path: Path | None = None) -> Iterator[Balancer]:
    """Serve a balancer while the block runs, on a Unix socket or a free port of 127.0.0.1."""
    made = _UnixServer(str(path), _Handler) if path else _Server(("127.0.0.1", 0), _Handler)
    with made as server:
        server.balancer = balancer
        if isinstance(server, _Server):
            balancer.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield balancer
        finally:
            server.shutdown()
            thread.join()
