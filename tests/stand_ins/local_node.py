"""A node without a network: commands run in a local shell, and a session can drop half-way."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from keystone_rollout.domain.cloud.model import Cloud, cloud_from_data
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.node.machine import NodeMachine
from keystone_rollout.hooks.places.local import LocalSession

DROPPED = -1
WAIT_SECONDS = 20.0


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what another process is about to do."""
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


class _Client:
    """Play paramiko's client, and the transport that it has."""

    def __init__(self, node: LocalNode) -> None:
        self.node = node

    def __enter__(self) -> _Client:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def get_transport(self) -> _Client:
        return self

    def open_session(self) -> _Channel:
        return _Channel(self.node)


class _Channel:
    """Play paramiko's channel: a command in a shell, whose session can drop."""

    def __init__(self, node: LocalNode) -> None:
        self.node = node
        self.drop: tuple[Callable[[], bool], int | Exception] | None = None

    def exec_command(self, command: str) -> None:
        self.node.commands.append(command)
        self.session = LocalSession([self.node.shell, "-c", command], self.node.home)
        if self.node.drops:
            self.drop = self.node.drops.pop(0)

    def recv(self, size: int) -> bytes:
        if self.drop is None:
            return self.session.recv(size)
        when, how = self.drop
        wait_until(when)
        self.node.left.append(self.session)
        for pipe in (self.session.process.stdout, self.session.process.stderr):
            assert pipe is not None
            pipe.close()
        if isinstance(how, Exception):
            raise how
        return b""

    def recv_stderr(self, size: int) -> bytes:
        return b"" if self.drop else self.session.recv_stderr(size)

    def exit_status_ready(self) -> bool:
        return self.session in self.node.left or self.session.exit_status_ready()

    def recv_exit_status(self) -> int:
        return DROPPED if self.drop else self.session.recv_exit_status()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)

    def close(self) -> None:
        """End nothing: a command does not hear that its session is gone."""
        if not self.drop:
            self.session.shutdown_write()


@dataclass
class LocalNode:
    """Play the SSH hook of one node whose home is a directory of the test.

    ``drops`` are (when, how): the session drops as soon as ``when`` says so, and shows as ``how``,
    an exit status or an exception. The command runs on, with nobody left to read its output.
    """

    home: Path
    shell: str = "bash"
    drops: list[tuple[Callable[[], bool], int | Exception]] = field(default_factory=list)
    refusals: list[Exception] = field(default_factory=list)
    opened: int = 0
    commands: list[str] = field(default_factory=list)
    left: list[LocalSession] = field(default_factory=list)

    ssh_conn_id = "lab_keystone_1"
    client: object = None

    def get_conn(self) -> Any:
        self.opened += 1
        if self.refusals:
            raise self.refusals.pop(0)
        return _Client(self)

    def wait_for_the_left(self) -> None:
        """Wait until every command that lost its session has ended."""
        for session in self.left:
            session.process.wait(WAIT_SECONDS)

    @property
    def log(self) -> list[str]:
        """Return what scripts wrote into the file "log" in the home."""
        path = self.home / "log"
        return path.read_text().split() if path.exists() else []

    def wrote(self, word: str) -> Callable[[], bool]:
        """Return a condition: some script has written this word into the log."""
        return lambda: word in self.log


def lab_cloud(override: dict[str, str], command_seconds: float = WAIT_SECONDS) -> Cloud:
    """Return the lab's cloud with steps of the test's own."""
    data = _lab().model_dump(by_alias=True)
    data["node_steps"]["override"] = override
    data["limits"]["node"]["command_seconds"] = command_seconds
    return cloud_from_data(data)


@cache
def _lab() -> Cloud:
    return load_cloud("lab")


def machine(
    node: LocalNode,
    override: dict[str, str],
    command_seconds: float = WAIT_SECONDS,
    note: Callable[[str], None] | None = None,
) -> NodeMachine:
    """Return the first node of the lab, reached through a LocalNode."""
    cloud = lab_cloud(override, command_seconds)
    return NodeMachine(cloud, cloud.nodes[0], node, note)  # type: ignore[arg-type]
