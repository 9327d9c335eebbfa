"""Run one command on a node over SSH, and tell a dropped session from a failed command."""

from __future__ import annotations

import time
from dataclasses import dataclass

from airflow.providers.ssh.hooks.ssh import SSHHook
from airflow.sdk.exceptions import AirflowException
from paramiko import SSHClient, SSHException

RECONNECT_PAUSE_SECONDS = 1.0
_NO_EXIT_STATUS = -1


class SessionDropped(RuntimeError):
    """Say how a session ended before its command did; the command may still run on the node."""


class NoAnswer(RuntimeError):
    """Say for how long a command gave no sign; it may still run on the node."""


@dataclass(frozen=True)
class Finished:
    """Hold how a command ended, and what it printed."""

    status: int
    stdout: str
    stderr: str


class NodeSession:
    """Run commands, each in a session of its own.

    :param ssh: hook of the node's connection
    """

    def __init__(self, ssh: SSHHook) -> None:
        self.ssh = ssh

    def run(self, command: str, silence_seconds: float, connect_seconds: float = 0.0) -> Finished:
        """Run one command to its end.

        ``silence_seconds`` is how long it may print nothing, ``connect_seconds`` for how long a
        connection that cannot be opened is tried again. Raises SessionDropped where the session
        ended first, NoAnswer after too long a silence, and whatever the connection raised where it
        could not be opened.
        """
        client = self._connect(connect_seconds)
        try:
            with client:
                status, out, err = self.ssh.exec_ssh_client_command(
                    client, command, get_pty=False, environment=None, timeout=silence_seconds
                )
        except AirflowException as error:
            raise NoAnswer(f"it gave no sign for {silence_seconds:g} s") from error
        except (SSHException, EOFError, OSError) as error:
            raise SessionDropped(
                f"the session dropped ({str(error) or type(error).__name__})"
            ) from error
        if status == _NO_EXIT_STATUS:
            raise SessionDropped("the session dropped (no exit status)")
        return Finished(status, out.decode(errors="replace"), err.decode(errors="replace"))

    def _connect(self, seconds: float) -> SSHClient:
        end = time.monotonic() + seconds
        while True:
            try:
                return self.ssh.get_conn()
            except Exception:
                if time.monotonic() >= end:
                    raise
            time.sleep(RECONNECT_PAUSE_SECONDS)
