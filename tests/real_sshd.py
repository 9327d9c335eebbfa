"""Run OpenSSH's own server on 127.0.0.1 while a test needs it, for the account of the test."""

from __future__ import annotations

import getpass
import json
import os
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.free_port import free_port

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
START_SECONDS = 10.0

needs_sshd = pytest.mark.skipif(SSHD is None, reason="sshd (Debian: openssh-server) is missing")


@dataclass
class Sshd:
    """One server: its folder is the home of whoever logs in, ``greeting`` what the login runs."""

    folder: Path
    port: int = field(default_factory=free_port)
    greeting: str = ""
    settings: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    def make_keys(self) -> None:
        """Make the server's key, and one that it lets in."""
        for name in ("host", "login"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)],
                check=True,
            )

    def connection(self, **extra: object) -> str:
        """Return the Airflow connection to this server as text."""
        kind, key = (self.folder / "host.pub").read_text().split()[:2]
        return json.dumps({
            "conn_type": "ssh", "host": "127.0.0.1", "port": self.port, "login": getpass.getuser(),
            "extra": {"key_file": str(self.folder / "login"), "host_key": f"{kind} {key}",
                      "look_for_keys": False, **extra},
        })  # fmt: skip

    def configuration(self) -> str:
        """Return sshd_config: nothing of this machine's own setting has a say."""
        login = self.folder / "login.sh"
        home = shlex.quote(str(self.folder))
        login.write_text(
            f"#!/bin/bash\ncd {home}\nexport HOME={home} PATH={home}/bin:$PATH SHELL=/bin/bash\n"
            f'{self.greeting}\nexec "$SHELL" -c "$SSH_ORIGINAL_COMMAND"\n'
        )
        login.chmod(0o755)
        lines = [
            f"ListenAddress 127.0.0.1:{self.port}", f"HostKey {self.folder / 'host'}",
            f"AuthorizedKeysFile {self.folder / 'login.pub'}", "AuthenticationMethods publickey",
            "StrictModes no", "UsePAM no", "PidFile none", "PermitRootLogin yes", "UseDNS no",
            f"ForceCommand {login}", *self.settings,
        ]  # fmt: skip
        return "\n".join(lines) + "\n"

    def drop_sessions(self) -> None:
        """End the server's processes of every session; the commands go on."""
        assert self.process is not None
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # it has ended by itself
                if child.name().startswith("sshd"):
                    child.kill()


@contextmanager
def running(server: Sshd) -> Iterator[Sshd]:
    """Serve until the block ends."""
    assert SSHD is not None
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd empties itself of rights there
    file = server.folder / "sshd_config"
    file.write_text(server.configuration())
    with (server.folder / "sshd.log").open("ab") as log:
        command = [SSHD, "-D", "-e", "-f", str(file)]
        server.process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _await_banner(server)
        yield server
    finally:
        server.drop_sessions()
        server.process.terminate()
        server.process.wait()


def _await_banner(server: Sshd) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            with socket.create_connection(("127.0.0.1", server.port), 1) as stream:
                assert stream.recv(4) == b"SSH-"
                return
        except OSError:
            assert time.monotonic() < end, (server.folder / "sshd.log").read_text()
            time.sleep(0.05)
