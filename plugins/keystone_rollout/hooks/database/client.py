"""Run the database's own command line programs: dump, and load."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from airflow.providers.mysql.hooks.mysql import MySqlHook

from keystone_rollout.domain.places.place import PlaceError
from keystone_rollout.hooks.places.local import LocalPlace

DUMP, LOAD = ("mariadb-dump", "mysqldump"), ("mariadb", "mysql")

LIMIT_SECONDS = 24 * 3600.0
"""Nobody knows here how large a database is, but a client that hangs for ever is ended."""


class DatabaseClientFailed(RuntimeError):
    """Say which program failed, and what it printed."""


class DatabaseClient:
    """Dump and load with the account of an Airflow connection.

    :param hook: connection with host, port, login and password
    """

    def __init__(self, hook: MySqlHook) -> None:
        self.hook = hook

    def dump(self, arguments: list[str], stream: IO[bytes]) -> None:
        """Write what mariadb-dump prints; DatabaseClientFailed where it fails."""
        with self._options() as options:
            _run(DUMP, options, arguments, stdout=stream)

    def load(self, schema: str, stream: IO[bytes]) -> None:
        """Run the statements of a dump in one schema; DatabaseClientFailed at the first error.

        Statements that follow a USE of another schema are left out.
        """
        with self._options() as options:
            _run(LOAD, options, ["--one-database", schema], stdin=stream)

    @contextmanager
    def _options(self) -> Iterator[int]:
        """Hand host and password over in a file that is in memory only, and ends with its users."""
        connection = self.hook.get_connection(self.hook.get_conn_id())
        with os.fdopen(os.memfd_create("keystone-rollout"), "w") as file:
            os.fchmod(file.fileno(), 0o600)  # the client ignores a file that anybody may write
            password = (connection.password or "").replace("\\", "\\\\").replace('"', '\\"')
            file.write(
                f"[client]\nprotocol=tcp\nhost={connection.host}\nport={connection.port or 3306}\n"
                f'user={connection.login}\npassword="{password}"\n'
            )
            file.flush()
            yield file.fileno()


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
    names: tuple[str, ...],
    options: int,
    arguments: list[str],
    stdin: IO[bytes] | None = None,
    stdout: IO[bytes] | None = None,
) -> None:
    command = [_program(*names), f"--defaults-extra-file=/dev/fd/{options}", *arguments]
    name = Path(command[0]).name
    try:
        done = LocalPlace(descriptors=(options,)).pipe(
            shlex.join(command), input=stdin, output=stdout, limit=LIMIT_SECONDS
        )
    except PlaceError as error:
        raise DatabaseClientFailed(f"{name}: {error}") from error
    if done.status != 0:
        lines = done.errors.strip().splitlines()[-5:]
        raise DatabaseClientFailed(
            f"{name} ended with exit status {done.status}, allowed is 0: " + " | ".join(lines)
        )
