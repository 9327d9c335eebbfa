"""Dump the keystone schema, restore the dump into a scratch schema, and compare."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hooks.keystone_database import KeystoneDatabase
from hooks.sql_text import sql
from rollout.backup_verdict import TableState, judge_backup
from rollout.cloud import Cloud
from rollout.verdict import Verdict

SCRATCH = "keystone_rollout_scratch"


class BackupFailed(RuntimeError):
    """Say which command failed, and what it printed."""


class DatabaseBackup:
    """Make one verified dump.

    The dump reads one consistent snapshot (--single-transaction) and never blocks clients.
    """

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        self.database = KeystoneDatabase(cloud)
        self.schema = self.database.schema
        self.folder = folder

    def dump(self, name: str) -> Path:
        """Write the dump and return its path; it has that name only once it is complete."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.folder / f"{name}.sql"
        part = path.with_suffix(".part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with self._options() as options, os.fdopen(descriptor, "wb") as stream:
            self._run(
                [_client("mariadb-dump", "mysqldump"), f"--defaults-extra-file={options}",
                 "--single-transaction", "--quick", "--routines", "--triggers", "--hex-blob",
                 self.schema],
                stdout=stream,
            )  # fmt: skip
        part.replace(path)
        return path

    def verify(self, name: str) -> tuple[Path, Verdict]:
        """Dump, restore into the scratch schema, compare, and drop the scratch schema again."""
        before = self._tables(self.schema)
        path = self.dump(name)
        after = self._tables(self.schema)
        admin = self.database.administrator
        try:
            admin.run([f"DROP DATABASE IF EXISTS {SCRATCH}", f"CREATE DATABASE {SCRATCH}"])
            with self._options() as options, path.open("rb") as stream:
                self._run(
                    [_client("mariadb", "mysql"), f"--defaults-extra-file={options}", SCRATCH],
                    stdin=stream,
                )
            restored = self._tables(SCRATCH)
        finally:
            admin.run(f"DROP DATABASE IF EXISTS {SCRATCH}")
        return path, judge_backup(before, after, restored, str(path))

    def _tables(self, schema: str) -> dict[str, TableState]:
        admin = self.database.administrator
        states = {}
        for (raw,) in admin.get_records(sql("select_table_names"), {"schema": schema}):
            table = raw.decode() if isinstance(raw, bytes | bytearray) else raw
            # Identifiers cannot be parameters; this one comes from information_schema.
            quoted = f"`{schema}`.`{table}`"
            checksum = admin.get_first(f"CHECKSUM TABLE {quoted}")[1]
            rows = admin.get_first(f"SELECT COUNT(*) FROM {quoted}")[0]  # noqa: S608
            states[table] = TableState(int(checksum), int(rows))
        return states

    @contextmanager
    def _options(self) -> Iterator[str]:
        """Hand host and password over in a file that only this user can read."""
        connection = self.database.administrator.get_connection(
            self.database.administrator.get_conn_id()
        )
        with tempfile.NamedTemporaryFile("w", prefix="keystone-rollout-", suffix=".cnf") as file:
            password = (connection.password or "").replace("\\", "\\\\").replace('"', '\\"')
            file.write(
                f"[client]\nprotocol=tcp\nhost={connection.host}\nport={connection.port or 3306}\n"
                f'user={connection.login}\npassword="{password}"\n'
            )
            file.flush()
            yield file.name

    def _run(self, command: list[str], stdin: object = None, stdout: object = None) -> None:
        result = subprocess.run(  # type: ignore[call-overload]
            command,
            stdin=stdin or subprocess.DEVNULL,
            stdout=stdout or subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )
        if result.returncode != 0:
            lines = result.stderr.decode(errors="replace").strip().splitlines()[-5:]
            raise BackupFailed(
                f"{Path(command[0]).name} ended with exit status {result.returncode}, allowed is "
                f"0: {' | '.join(lines)}. Nothing was changed; free space or repair, then clear"
            )


def _client(*names: str) -> str:
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    raise BackupFailed(f"{' or '.join(names)} is not installed. Next: install a MariaDB client")


def client_missing() -> str | None:
    """Say which database client is missing on this machine, for preflight."""
    try:
        _client("mariadb-dump", "mysqldump")
        _client("mariadb", "mysql")
    except BackupFailed as error:
        return str(error)
    return None
