"""Load a dump into the scratch schema, beside the live one, and read which one is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.schema.difference import quoted
from keystone_rollout.domain.schema.table_moves import LOADED
from keystone_rollout.domain.schema.target import scratch_target
from keystone_rollout.hooks.database.client import DatabaseClient
from keystone_rollout.hooks.database.comparison import SchemaReader
from keystone_rollout.hooks.database.connection import DatabaseHook
from keystone_rollout.hooks.database.keystone import text
from keystone_rollout.hooks.database.sql import sql
from keystone_rollout.hooks.files.dumps import open_dump


class BackupLoad:
    """The scratch schema of one cloud's database server, for everyone who loads a dump."""

    def __init__(self, cloud: Cloud) -> None:
        target = scratch_target(cloud)
        self.live = cloud.databases.schema_name
        self.admin = DatabaseHook(target.administrator, cloud.tls, limits=cloud.limits)
        self.schema = SchemaReader(target.administrator, target.schema, cloud.tls, cloud.limits)

    def load(self, path: Path) -> SchemaReader:
        """Load a dump afresh, plain or packed; DatabaseClientFailed if that fails.

        The name of the dump is written into it last: without a name, the load did not end.
        """
        name = self.schema.schema
        self.drop()
        self.admin.run(f"CREATE DATABASE {quoted(name)} {self.character_set()}", autocommit=True)
        with open_dump(path) as stream:
            DatabaseClient(self.admin).load(name, stream)
        marker = quoted(name, LOADED)
        self.admin.run(f"CREATE TABLE {marker} (backup VARCHAR(250) NOT NULL)", autocommit=True)
        self.admin.run(
            f"INSERT INTO {marker} (backup) VALUES (%(backup)s)",  # noqa: S608  (our own name)
            parameters={"backup": path.name},
            autocommit=True,
        )
        return self.schema

    @contextmanager
    def meanwhile(self, path: Path) -> Iterator[SchemaReader]:
        """Load a dump for a block, and drop it at the block's end."""
        try:
            yield self.load(path)
        finally:
            self.drop()

    def loaded(self) -> str | None:
        """Return the name of the dump that was loaded completely; None without one."""
        name = self.schema.schema
        tables = self.admin.get_records(sql("select_table_names"), {"schema": name})
        names = [text(table) for (table,) in tables]
        if LOADED not in names:
            return None
        marker = quoted(name, LOADED)
        row = self.admin.get_first(f"SELECT backup FROM {marker}")  # noqa: S608  (our own name)
        return None if row is None else str(row[0])

    def drop(self) -> None:
        """Drop the scratch schema; the dump itself is a file."""
        self.admin.run(f"DROP DATABASE IF EXISTS {quoted(self.schema.schema)}", autocommit=True)

    def character_set(self) -> str:
        """Return the clause that gives a new schema the live one's character set."""
        row = self.admin.get_first(sql("select_schema_collation"), {"schema": self.live})
        return f"CHARACTER SET {row[0]} COLLATE {row[1]}"
