"""Replace the live tables by a loaded backup's; the live ones stay in another schema.

RENAME TABLE refuses tables with triggers, and views. Their definitions are first written to files
beside the backups, so that they outlive a crash. They are made again in the schema to which their
tables were moved.
"""

from __future__ import annotations

import logging
from pathlib import Path

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.schema.difference import quoted
from keystone_rollout.domain.schema.table_moves import half_moved, rename_statement
from keystone_rollout.hooks.database.client import DatabaseClient, DatabaseClientFailed
from keystone_rollout.hooks.database.comparison import SchemaReader
from keystone_rollout.hooks.database.connection import DatabaseHook
from keystone_rollout.hooks.database.loader import BackupLoad
from keystone_rollout.hooks.files.cloud_file import project_path
from keystone_rollout.hooks.files.whole_file import whole_file

log = logging.getLogger(__name__)

LOCK_WAIT_SECONDS = 30
"""Seconds for the tables' metadata locks; no session should hold one while nobody serves."""

_DEFINITIONS = ["--no-data", "--skip-lock-tables", "--skip-comments"]


class SchemaSwap:
    """The exchange of the live tables for the restored ones, for one restore.

    :param replaced: schema that takes the live tables; its name identifies the restore
    """

    def __init__(self, cloud: Cloud, replaced: str) -> None:
        connection = cloud.databases.administrator
        self.admin = DatabaseHook(connection, cloud.tls, limits=cloud.limits)
        self.client = DatabaseClient(self.admin)
        self.load = BackupLoad(cloud)
        self.live = SchemaReader(connection, cloud.databases.schema_name, cloud.tls, cloud.limits)
        self.kept = self.load.schema
        self.replaced = SchemaReader(connection, replaced, cloud.tls, cloud.limits)
        self.folder = project_path(cloud.backup_directory)

    def done(self) -> bool:
        """Tell whether the tables were moved, by the tables themselves.

        Raises RuntimeError, which says which tables are where, if a crash left the move half-done.
        """
        replaced = self.replaced.tables()
        mixed = half_moved(self.live.tables(), self.kept.tables(), replaced)
        if mixed:
            raise RuntimeError(
                f"the swap is half-done: {mixed}. Nothing is lost. Next: move the tables with "
                f"RENAME TABLE so that all of the old ones are in {self.replaced.schema} and all "
                f"of the backup's in {self.live.schema}, then start keystone_restore again"
            )
        return bool(replaced)

    def move(self) -> None:
        """Move all tables in one statement; afterwards `finish` makes triggers and views again."""
        self.admin.run(
            f"CREATE DATABASE IF NOT EXISTS {quoted(self.replaced.schema)} "
            f"{self.load.character_set()}",
            autocommit=True,
        )
        self._save_definitions(self.live)
        self._save_definitions(self.kept)
        self._drop_definitions(self.live)
        self._drop_definitions(self.kept)
        rename = rename_statement(
            self.live.tables(), self.kept.tables(),
            self.live.schema, self.kept.schema, self.replaced.schema,
        )  # fmt: skip
        self.admin.run(
            [f"SET SESSION lock_wait_timeout = {LOCK_WAIT_SECONDS}", rename], autocommit=True
        )

    def finish(self) -> None:
        """Make triggers and views again, in the schema of their tables.

        Failing to recreate them for the moved tables only logs a warning.
        """
        self._make_definitions(self._file(self.kept), self.live)
        try:
            self._make_definitions(self._file(self.live), self.replaced)
        except DatabaseClientFailed as error:
            log.warning(
                "Triggers and views of %s stay in file %s: %s",
                self.replaced.schema, self._file(self.live), error,
            )  # fmt: skip

    def undo(self) -> None:
        """Make triggers and views of the live schema again, after a move that did not happen."""
        if self.replaced.tables():
            raise RuntimeError(f"{self.replaced.schema} holds tables: there is nothing to undo")
        self._make_definitions(self._file(self.live), self.live)
        self._file(self.kept).unlink(missing_ok=True)
        self.admin.run(f"DROP DATABASE IF EXISTS {quoted(self.replaced.schema)}", autocommit=True)

    def drop_replaced(self) -> None:
        """Drop the tables that were moved aside, which nobody wants back."""
        self.admin.run(f"DROP DATABASE {quoted(self.replaced.schema)}", autocommit=True)

    def _file(self, schema: SchemaReader) -> Path:
        return self.folder / f"{self.replaced.schema}.{schema.schema}.definitions"

    def _save_definitions(self, schema: SchemaReader) -> None:
        path = self._file(schema)
        if path.exists():  # an interrupted attempt has saved and dropped them
            return
        with whole_file(path) as stream:
            views = schema.views()
            if views:
                options = [*_DEFINITIONS, "--skip-triggers", "--skip-add-drop-table"]
                self.client.dump([*options, schema.schema, *views], stream)
            if schema.triggers():
                options = [*_DEFINITIONS, "--no-create-info", "--triggers"]
                self.client.dump([*options, schema.schema], stream)

    def _drop_definitions(self, schema: SchemaReader) -> None:
        for kind, names in (("TRIGGER", schema.triggers()), ("VIEW", schema.views())):
            for name in names:
                statement = f"DROP {kind} IF EXISTS {quoted(schema.schema, name)}"
                self.admin.run(statement, autocommit=True)

    def _make_definitions(self, path: Path, schema: SchemaReader) -> None:
        if not path.exists():  # made already, or never taken away
            return
        self._drop_definitions(schema)
        with path.open("rb") as stream:
            self.client.load(schema.schema, stream)
        path.unlink()
