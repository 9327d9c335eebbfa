"""Dump the keystone schema, restore the dump into a scratch schema, and compare."""

from __future__ import annotations

from pathlib import Path

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.recovery.backup import TableState, judge_backup
from keystone_rollout.domain.schema.difference import quoted
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.database.client import DatabaseClient, DatabaseClientFailed
from keystone_rollout.hooks.database.comparison import SchemaReader
from keystone_rollout.hooks.database.keystone import KeystoneDatabase
from keystone_rollout.hooks.database.loader import BackupLoad
from keystone_rollout.hooks.files.whole_file import whole_file


class BackupFailed(RuntimeError):
    """A program that failed, and its output."""


class DatabaseBackup:
    """One verified dump.

    The dump reads one consistent snapshot (--single-transaction) and never blocks clients.
    """

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        self.cloud = cloud
        self.database = KeystoneDatabase(cloud)
        self.client = DatabaseClient(self.database.administrator)
        self.schema = self.database.schema
        self.folder = folder

    def dump(self, name: str) -> Path:
        """Write the dump and return its path; it has that name only once it is complete."""
        path = self.folder / f"{name}.sql"
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with whole_file(path) as stream:
                self.client.dump(
                    ["--single-transaction", "--quick", "--routines", "--triggers", "--hex-blob",
                     self.schema],
                    stream,
                )  # fmt: skip
        except OSError as error:
            raise DatabaseClientFailed(f"the dump could not be written: {error}") from error
        return path

    def verify(self, name: str) -> tuple[Path, Verdict]:
        """Dump, restore into the scratch schema, compare, and drop the scratch schema again.

        Raises BackupFailed if dumping or restoring fails.
        """
        try:
            return self._verify(name)
        except DatabaseClientFailed as error:
            raise BackupFailed(
                f"{error}. Nothing was changed. Next: free space or repair, then clear this task"
            ) from error

    def _verify(self, name: str) -> tuple[Path, Verdict]:
        before = self._tables(self.schema)
        path = self.dump(name)
        after = self._tables(self.schema)
        with BackupLoad(self.cloud).meanwhile(path) as loaded:
            restored = self._tables(loaded.schema)
        return path, judge_backup(before, after, restored, str(path))

    def _tables(self, schema: str) -> dict[str, TableState]:
        admin = self.database.administrator
        states = {}
        cloud = self.cloud
        reader = SchemaReader(cloud.databases.administrator, schema, cloud.tls, cloud.limits)
        for table in reader.tables():
            name = quoted(schema, table)
            checksum = admin.get_first(f"CHECKSUM TABLE {name}")[1]
            rows = admin.get_first(f"SELECT COUNT(*) FROM {name}")[0]  # noqa: S608  (quoted)
            states[table] = TableState(int(checksum), int(rows))
        return states
