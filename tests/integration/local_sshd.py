"""Serve SSH on 127.0.0.1 for one node: each command runs in that node's folder, for real."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import paramiko

PASSWORD = "only-for-this-test"
HOST_KEY = paramiko.ECDSAKey.generate()


class _Session(paramiko.ServerInterface):
    def __init__(self, folder: Path, ended: Callable[[], None]) -> None:
        self.folder = folder
        self.ended = ended

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_auth_password(self, username: str, password: str) -> int:
        return paramiko.AUTH_SUCCESSFUL if password == PASSWORD else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self._run, args=(channel, command), daemon=True).start()
        return True

    def _run(self, channel: paramiko.Channel, command: bytes) -> None:
        done = subprocess.run(
            ["bash", "-c", command.decode()],
            cwd=self.folder,
            env={"HOME": str(self.folder), "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin"},
            capture_output=True,
            check=False,
        )
        self.ended()
        with suppress(OSError):
            channel.sendall(done.stdout)
            channel.sendall_stderr(done.stderr)
            channel.send_exit_status(done.returncode)
            # The client closes: a fast command could be gone before its start is acknowledged.
            channel.shutdown_write()


@contextmanager
def local_sshd(folder: Path, ended: Callable[[], None]) -> Iterator[dict[str, Any]]:
    """Serve until the block ends; yield the Airflow connection. ``ended`` follows each command.

    Whatever is asked of sudo there is allowed, and not done.
    """
    sudo = folder / "bin" / "sudo"
    sudo.parent.mkdir()
    sudo.write_text("#!/bin/sh\n")
    sudo.chmod(0o755)
    listener = socket.create_server(("127.0.0.1", 0))
    transports: list[paramiko.Transport] = []

    def accept() -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                client, _address = listener.accept()
                transport = paramiko.Transport(client)
                transport.add_server_key(HOST_KEY)
                transports.append(transport)
                with suppress(paramiko.SSHException, EOFError):
                    transport.start_server(server=_Session(folder, ended))

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield {
            "conn_type": "ssh",
            "host": "127.0.0.1",
            "port": listener.getsockname()[1],
            "login": "rollout",
            "password": PASSWORD,
            "extra": {
                "host_key": f"{HOST_KEY.get_name()} {HOST_KEY.get_base64()}",
                "no_host_key_check": False,
                "look_for_keys": False,
            },
        }
    finally:
        # Closing alone does not wake the thread that waits in accept().
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for transport in transports:
            transport.close()
