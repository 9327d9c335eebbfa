"""Load a backup into the scratch schema, beside the live one, and know what is in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO

from airflow.providers.mysql.hooks.mysql import MySqlHook

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.schema.difference import quoted
from keystone_rollout.domain.schema.table_moves import LOADED, SCRATCH
from keystone_rollout.hooks.database.client import DatabaseClient
from keystone_rollout.hooks.database.comparison import SchemaReader
from keystone_rollout.hooks.database.sql import sql


class BackupLoad:
    """Handle the scratch schema of one cloud's database server."""

    def __init__(self, cloud: Cloud) -> None:
        self.live = cloud.databases.schema_name
        self.admin = MySqlHook(mysql_conn_id=cloud.databases.administrator)
        self.schema = SchemaReader(cloud.databases.administrator, SCRATCH)

    def load(self, path: Path, opened: Callable[[], IO[bytes]] | None = None) -> SchemaReader:
        """Load a backup afresh; DatabaseClientFailed where it cannot be.

        The name of the backup is written into it last: what has no name was not loaded to its end.

        :param opened: opens the backup, if it is not to be read as it is
        """
        self.drop()
        self.admin.run(f"CREATE DATABASE {quoted(SCRATCH)} {self.character_set()}", autocommit=True)
        with opened() if opened else path.open("rb") as stream:
            DatabaseClient(self.admin).load(SCRATCH, stream)
        marker = quoted(SCRATCH, LOADED)
        self.admin.run(f"CREATE TABLE {marker} (backup VARCHAR(250) NOT NULL)", autocommit=True)
        self.admin.run(
            f"INSERT INTO {marker} (backup) VALUES (%(backup)s)",  # noqa: S608  (our own name)
            parameters={"backup": path.name},
            autocommit=True,
        )
        return self.schema

    def loaded(self) -> str | None:
        """Return the name of the backup that was loaded completely; None where none was."""
        tables = self.admin.get_records(sql("select_table_names"), {"schema": SCRATCH})
        names = [name.decode() if isinstance(name, bytes | bytearray) else name
                 for (name,) in tables]  # fmt: skip
        if LOADED not in names:
            return None
        marker = quoted(SCRATCH, LOADED)
        row = self.admin.get_first(f"SELECT backup FROM {marker}")  # noqa: S608  (our own name)
        return None if row is None else str(row[0])

    def drop(self) -> None:
        """Drop the scratch schema; the backup itself is a file."""
        self.admin.run(f"DROP DATABASE IF EXISTS {quoted(SCRATCH)}", autocommit=True)

    def character_set(self) -> str:
        """Return the clause that gives a new schema the live one's character set."""
        row = self.admin.get_first(sql("select_schema_collation"), {"schema": self.live})
        return f"CHARACTER SET {row[0]} COLLATE {row[1]}"
