"""Run the database's own command line programs: dump, and load.

A dump is statements, and a client has commands beside them: `\\!` runs a program, `source` reads a
file. A dump is loaded so that none of them works, and nothing of it gets into a log.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from keystone_rollout.domain.cloud.model import Limits
from keystone_rollout.domain.places.place import NoAnswer, PlaceError, TimedOut
from keystone_rollout.hooks.database.connection import DatabaseHook
from keystone_rollout.hooks.places.local import LocalPlace
from keystone_rollout.hooks.trust.databases import client_options

DUMP, LOAD = ("mariadb-dump", "mysqldump"), ("mariadb", "mysql")

SANDBOX = "--sandbox"
NO_COMMANDS = "--binary-mode"
"""Without it `\\!` in a dump runs a program. Clients since MariaDB 10.0 and MySQL 5.6 have it."""

SANDBOX_LINE = re.compile(rb"/\*M?!999999\\- enable the sandbox mode \*/")
"""The first line of newer dumps: older clients stop at it, and the others get SANDBOX from here."""

_ERROR = re.compile(r"ERROR(?: (?P<number>\d+))?(?: \(\w+\))?(?P<line> at line \d+)?")
SAYS_NOTHING_OF_A_DUMP = range(2000, 3000)
"""Numbers of the client's own errors: no server, no memory, a connection that was lost."""
REFUSED_AT_THE_DOOR = {1040, 1045, 1130}
"""Too many connections, wrong password, wrong host: before the first statement."""

HELP_SECONDS = 30.0


class DatabaseClientFailed(RuntimeError):
    """A program that failed, and its output."""


class DatabaseClient:
    """The database's own programs, with the account of an Airflow connection.

    :param hook: connection with host, port, login and password
    """

    def __init__(self, hook: DatabaseHook) -> None:
        self.hook = hook

    def dump(self, arguments: list[str], stream: IO[bytes]) -> None:
        """Write the output of mariadb-dump; DatabaseClientFailed if it fails."""
        with self._options() as options:
            _run(_program(*DUMP), options, arguments, self.hook.limits, stdout=stream)

    def load(self, schema: str, stream: IO[bytes]) -> None:
        """Run the statements of a dump in one schema; DatabaseClientFailed at the first error.

        Statements that follow a USE of another schema are left out. The error says number and line,
        and nothing of what stands there: it may be a row, or a file that is no dump.
        """
        program = _program(*LOAD)
        with self._options() as options:
            arguments = [*_safe_options(program), "--one-database", schema]
            _run(
                program, options, arguments, self.hook.limits, stdin=_DumpStream(stream), quiet=True
            )

    @contextmanager
    def _options(self) -> Iterator[int]:
        """Hand host and password over in a file that is in memory only, and ends with its users."""
        connection = self.hook.connection
        with os.fdopen(os.memfd_create("keystone-rollout"), "w") as file:
            os.fchmod(file.fileno(), 0o600)  # the client ignores a file that anybody may write
            password = (connection.password or "").replace("\\", "\\\\").replace('"', '\\"')
            file.write(
                f"[client]\nprotocol=tcp\nhost={connection.host}\nport={connection.port or 3306}\n"
                f'user={connection.login}\npassword="{password}"\n'
                f"{client_options(connection, self.hook.tls)}"
            )
            file.flush()
            yield file.fileno()


def client_missing() -> str | None:
    """Say which database client is missing on this machine, for the checks before a run."""
    try:
        _program(*DUMP)
        _safe_options(_program(*LOAD))
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


def _safe_options(program: str) -> list[str]:
    """Return what keeps a dump from reaching beyond the database, as this client knows it.

    Asked of the client itself: distributions bring options to older versions.
    """
    try:
        offered = LocalPlace().run(
            shlex.join([program, "--no-defaults", "--help"]), limit=HELP_SECONDS, tell=_unheard
        ).output  # fmt: skip
    except PlaceError as error:
        raise DatabaseClientFailed(f"{Path(program).name} --help: {error}") from error
    known = set(re.findall(r"^ +(?:-\w, )?(--[\w-]+)", offered, re.MULTILINE))
    if NO_COMMANDS not in known:
        raise DatabaseClientFailed(
            f"{Path(program).name} has no option {NO_COMMANDS} (by its --help), so a line of a "
            "dump could run a program here: no dump is loaded. Next: install a MariaDB client"
        )
    return [NO_COMMANDS, "--skip-local-infile", *([SANDBOX] if SANDBOX in known else [])]


class _DumpStream:
    """A dump without the line that older clients stop at; all others keep their numbers."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.begun = False

    def read(self, size: int) -> bytes:
        """Return the next bytes, b"" at the end."""
        if self.begun:
            return self.stream.read(size)
        self.begun = True
        first = self.stream.readline(size)
        return SANDBOX_LINE.sub(b"", first, count=1) or self.stream.read(size)


def _unheard(_line: str) -> None:
    pass


def without_content(lines: Sequence[str]) -> list[str]:
    """Return of what a client printed the errors' numbers and lines, and what they quote not.

    Their text is kept only if it cannot be a dump's.
    """
    kept = []
    for line in lines:
        if (match := _ERROR.match(line)) is None:
            continue
        number = int(match["number"] or 0)
        own = number in SAYS_NOTHING_OF_A_DUMP or number in REFUSED_AT_THE_DOOR
        kept.append(line if own else match[0])
    return kept or ["what it printed may quote the dump, and is not shown"]


def _run(
    program: str,
    options: int,
    arguments: list[str],
    limits: Limits,
    stdin: _DumpStream | None = None,
    stdout: IO[bytes] | None = None,
    quiet: bool = False,
) -> None:
    """Run a program with an open file of options; it is ended at a limit.

    ``quiet``: it may print a dump's content.
    """
    command = [program, f"--defaults-extra-file=/dev/fd/{options}", *arguments]
    name = Path(program).name
    try:
        done = LocalPlace(descriptors=(options,)).pipe(
            shlex.join(command),
            input=stdin,
            output=stdout,
            limit=limits.dump_seconds,
            silence=limits.statement_seconds,
            tell=_unheard if quiet else None,
        )
    except TimedOut as error:
        raise DatabaseClientFailed(
            f"{name} was ended: measured more than {limits.dump_seconds} s, the limit "
            "(limits.dump_seconds). Raise it if the database needs as long"
        ) from error
    except NoAnswer as error:
        raise DatabaseClientFailed(
            f"{name} was ended: measured {limits.statement_seconds} s in which not a byte of the "
            f"dump moved, the limit (limits.statement_seconds). Look at the server's process list "
            "and at the network between"
        ) from error
    except PlaceError as error:
        raise DatabaseClientFailed(f"{name}: {error}") from error
    if done.status != 0:
        lines = done.errors.strip().splitlines()
        lines = (without_content(lines) if quiet else lines)[-5:]
        raise DatabaseClientFailed(
            f"{name} ended with exit status {done.status}, allowed is 0: " + " | ".join(lines)
        )
