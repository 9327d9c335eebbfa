"""A node without a network: commands run in a local shell, and a session can drop half-way."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from keystone_rollout.domain.cloud.model import Cloud, cloud_from_data
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.node.machine import NodeMachine

DROPPED = -1
WAIT_SECONDS = 20.0


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what another process is about to do."""
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


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
    left: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @contextmanager
    def _client(self) -> Iterator[None]:
        yield

    def get_conn(self) -> Any:
        self.opened += 1
        if self.refusals:
            raise self.refusals.pop(0)
        return self._client()

    def exec_ssh_client_command(
        self, client: object, command: str, get_pty: bool, environment: None, timeout: float
    ) -> tuple[int, bytes, bytes]:
        self.commands.append(command)
        process = subprocess.Popen(
            [self.shell, "-c", command],
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        if self.drops:
            when, how = self.drops.pop(0)
            wait_until(when)
            self.left.append(process)
            for pipe in (process.stdout, process.stderr):
                assert pipe is not None
                pipe.close()
            if isinstance(how, Exception):
                raise how
            return how, b"", b""
        out, err = process.communicate(timeout=WAIT_SECONDS)
        return process.returncode, out, err

    def wait_for_the_left(self) -> None:
        """Wait until every command that lost its session has ended."""
        for process in self.left:
            process.wait(WAIT_SECONDS)

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
