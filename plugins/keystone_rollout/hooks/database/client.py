"""Run the database's own command line programs: dump, and load."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from keystone_rollout.domain.places.place import PlaceError
from keystone_rollout.hooks.database.connection import DatabaseHook
from keystone_rollout.hooks.places.local import LocalPlace
from keystone_rollout.hooks.trust.databases import client_options

DUMP, LOAD = ("mariadb-dump", "mysqldump"), ("mariadb", "mysql")

LIMIT_SECONDS = 24 * 3600.0
"""Nobody knows here how large a database is, but a client that hangs for ever is ended."""


class DatabaseClientFailed(RuntimeError):
    """Say which program failed, and what it printed."""


class DatabaseClient:
    """Dump and load with the account of an Airflow connection.

    :param hook: connection with host, port, login and password
    """

    def __init__(self, hook: DatabaseHook) -> None:
        self.hook = hook

    def dump(self, arguments: list[str], stream: IO[bytes]) -> None:
        """Write what mariadb-dump prints; DatabaseClientFailed where it fails."""
        with self._options() as options:
            _run([_program(*DUMP), f"--defaults-extra-file={options}", *arguments], stdout=stream)

    def load(self, schema: str, stream: IO[bytes]) -> None:
        """Run the statements of a dump in one schema; DatabaseClientFailed at the first error.

        Statements that follow a USE of another schema are left out.
        """
        with self._options() as options:
            command = [_program(*LOAD), f"--defaults-extra-file={options}", "--one-database"]
            _run([*command, schema], stdin=stream)

    @contextmanager
    def _options(self) -> Iterator[str]:
        """Hand host and password over in a file that only this user can read."""
        connection = self.hook.connection
        with tempfile.NamedTemporaryFile("w", prefix="keystone-rollout-", suffix=".cnf") as file:
            password = (connection.password or "").replace("\\", "\\\\").replace('"', '\\"')
            file.write(
                f"[client]\nprotocol=tcp\nhost={connection.host}\nport={connection.port or 3306}\n"
                f'user={connection.login}\npassword="{password}"\n'
                f"{client_options(connection, self.hook.tls)}"
            )
            file.flush()
            yield file.name


def client_missing() -> str | None:
    """Say which database client is missing on this machine, for the checks before a run."""
    try:
        _program(*DUMP)
        _program(*LOAD)
    except DatabaseClientFailed as error:
        return str(error)
    return None


def _program(*names: str) -> str:
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    raise DatabaseClientFailed(
        f"{' or '.join(names)} is not installed. Next: install a MariaDB client"
    )


def _run(
    command: list[str], stdin: IO[bytes] | None = None, stdout: IO[bytes] | None = None
) -> None:
    name = Path(command[0]).name
    try:
        done = LocalPlace().pipe(
            shlex.join(command), input=stdin, output=stdout, limit=LIMIT_SECONDS
        )
    except PlaceError as error:
        raise DatabaseClientFailed(f"{name}: {error}") from error
    if done.status != 0:
        lines = done.errors.strip().splitlines()[-5:]
        raise DatabaseClientFailed(
            f"{name} ended with exit status {done.status}, allowed is 0: " + " | ".join(lines)
        )
