"""The lab's MariaDB: queries as administrator, dump and restore of Keystone's content."""

import gzip
import io
import tarfile
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import docker
import mysql.connector
from docker.models.containers import Container

from lab.cloud import secrets
from lab.topology import ADMIN, DATABASE, DATABASE_CONTAINER, DATABASE_PORT, HOST
from machine import engine
from machine.errors import CommandError

SCRATCH = "keystone_rollout"
"""Prefix of the schemas that upgrade runs make for themselves: lock, restore check."""

READY_TIMEOUT_S = 60.0
Row = tuple[Any, ...]
VersionTables = dict[str, list[str]]
"""Rows of Keystone's version tables, by the table's name."""

VERSION_QUESTIONS = {
    "migrate_version": "SELECT repository_id, version FROM keystone.migrate_version ORDER BY 1",
    "alembic_version": "SELECT version_num FROM keystone.alembic_version ORDER BY 1",
}


def execute(statement: str, parameters: Sequence[Any] = ()) -> list[Row]:
    """Run one statement as administrator and return its rows.

    Raises CommandError with the server's answer.
    """
    try:
        with closing(
            mysql.connector.connect(
                host=HOST,
                port=DATABASE_PORT,
                user=ADMIN,
                password=secrets.load().database_admin,
                connection_timeout=5,
                autocommit=True,
            )
        ) as connection:
            cursor = connection.cursor()
            cursor.execute(statement, tuple(parameters))
            if cursor.description is None:
                return []
            return [tuple(row) for row in cursor.fetchall()]
    except mysql.connector.Error as error:
        raise CommandError(f"MariaDB on {HOST}:{DATABASE_PORT} as {ADMIN}: {error}") from error


def wait_until_ready() -> None:
    """Wait until the administrator can log in; raises CommandError after a minute."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while True:
        try:
            execute("SELECT 1")
            return
        except CommandError as error:
            if time.monotonic() > deadline:
                raise CommandError(
                    f"MariaDB does not answer after {READY_TIMEOUT_S:.0f} s: {error}; "
                    f"see: docker logs {DATABASE_CONTAINER}"
                ) from error
            time.sleep(0.3)


def read_version_tables() -> VersionTables:
    """Return the rows of each version table that exists, as they are.

    These are both tables if both exist: a release that writes into one leaves the other alone.
    """
    present = {
        str(row[0])
        for row in execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s "
            "AND table_name IN ('migrate_version', 'alembic_version')",
            (DATABASE,),
        )
    }
    return {
        table: [" ".join(str(value) for value in row) for row in execute(question)]
        for table, question in VERSION_QUESTIONS.items()
        if table in present
    }


def schema_versions() -> dict[str, str]:
    """Return what Keystone's version table says; empty without one.

    By repository, or as `alembic 1`, `alembic 2` as soon as that table has a row: Zed leaves the
    older table behind.
    """
    tables = read_version_tables()
    if revisions := tables.get("alembic_version"):
        return {f"alembic {number}": each for number, each in enumerate(revisions, start=1)}
    return dict(row.split(" ", 1) for row in tables.get("migrate_version", []))


def count_triggers() -> int:
    """Return how many triggers Keystone's schema has."""
    question = "SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema = %s"
    return int(execute(question, (DATABASE,))[0][0])


def count_users() -> int:
    """Return how many users Keystone's database holds in all."""
    return int(execute("SELECT COUNT(*) FROM keystone.user")[0][0])


def trust_function_creators() -> int:
    """Return the server's ``log_bin_trust_function_creators``."""
    return int(execute("SELECT @@GLOBAL.log_bin_trust_function_creators")[0][0])


def transaction_isolation() -> str:
    """Return the server's transaction isolation level."""
    return str(execute("SELECT @@GLOBAL.tx_isolation")[0][0])


def reset_globals() -> None:
    """Reset the global variables that an upgrade may change to the server's defaults."""
    execute("SET GLOBAL log_bin_trust_function_creators = DEFAULT")
    execute("SET GLOBAL tx_isolation = DEFAULT")


def end_other_sessions() -> None:
    """End every client's session: one open transaction would make DROP DATABASE wait for it."""
    for (session,) in execute(
        "SELECT id FROM information_schema.processlist "
        "WHERE id <> CONNECTION_ID() AND user NOT IN ('system user', 'event_scheduler')"
    ):
        # A session may have ended by itself meanwhile.
        with suppress(CommandError):
            execute(f"KILL {int(session)}")


def make_empty() -> None:
    """Drop and create Keystone's database, and drop the schemas that earlier runs left."""
    end_other_sessions()
    # Only a lab may forget its binary log; a day of rehearsals would fill the disk with it.
    execute("RESET MASTER")
    for row in execute("SHOW DATABASES LIKE %s", (SCRATCH.replace("_", "\\_") + "%",)):
        execute(f"DROP DATABASE `{row[0]}`")
    execute(f"DROP DATABASE IF EXISTS {DATABASE}")
    execute(f"CREATE DATABASE {DATABASE}")


def dump(client: docker.DockerClient, path: Path) -> None:
    """Write Keystone's database to *path*, gzipped."""
    container = client.containers.get(DATABASE_CONTAINER)
    temporary = path.with_name(path.name + ".new")
    job = client.api.exec_create(
        container.id,
        ["mariadb-dump", "--single-transaction", "--routines", "--triggers", DATABASE],
        stderr=False,
    )
    with gzip.open(temporary, "wb", compresslevel=1) as output:
        for chunk in client.api.exec_start(job["Id"], stream=True):
            output.write(chunk)
    status = client.api.exec_inspect(job["Id"])["ExitCode"]
    if status != 0:
        temporary.unlink()
        raise CommandError(f"mariadb-dump of {DATABASE} exited with {status} (allowed: 0)")
    temporary.chmod(0o600)
    temporary.replace(path)


def restore(client: docker.DockerClient, path: Path) -> None:
    """Replace Keystone's database by the content of *path*."""
    container = client.containers.get(DATABASE_CONTAINER)
    make_empty()
    _copy_into(container, path.read_bytes(), "/tmp", "seed.sql.gz")
    status, output = engine.execute(
        container,
        ["bash", "-o", "pipefail", "-c", f"gunzip -c /tmp/seed.sql.gz | mariadb {DATABASE}"],
    )
    if status != 0:
        raise CommandError(
            f"restore of {path} exited with {status} (allowed: 0): " + output.strip()
        )


def _copy_into(container: Container, content: bytes, directory: str, name: str) -> None:
    """Put a file into a container."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        member.mode = 0o600
        archive.addfile(member, io.BytesIO(content))
    container.put_archive(directory, buffer.getvalue())
