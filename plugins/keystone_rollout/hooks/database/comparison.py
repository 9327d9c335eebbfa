"""Compare two schemas on one server: their versions, definitions and rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from keystone_rollout.domain.cloud.model import Limits
from keystone_rollout.domain.cloud.tls import SYSTEM_TRUST, Tls
from keystone_rollout.domain.schema.difference import (
    VERSION_TABLES,
    Column,
    Difference,
    counting_statements,
    quoted,
    table_difference,
)
from keystone_rollout.domain.schema.table_moves import LOADED
from keystone_rollout.domain.schema.versions import RecordedVersions
from keystone_rollout.hooks.database.connection import DEFAULT_LIMITS, DatabaseHook
from keystone_rollout.hooks.database.keystone import read_versions
from keystone_rollout.hooks.database.sql import sql


class SchemaReader:
    """One schema, read as administrator, without our table that marks a loaded backup."""

    def __init__(
        self,
        connection: str,
        schema: str,
        tls: Tls = SYSTEM_TRUST,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.schema = schema
        self.hook = DatabaseHook(connection, tls, limits=limits)
        self.connection = connection

    def tables(self) -> list[str]:
        """Return the names of the base tables; empty if the schema does not exist."""
        return [name for (name,) in self._rows("select_table_names") if name != LOADED]

    def views(self) -> list[str]:
        """Return the names of the views."""
        return [name for (name,) in self._rows("select_view_names")]

    def triggers(self) -> list[str]:
        """Return the names of the triggers."""
        return [name for (name,) in self._rows("select_trigger_names")]

    def versions(self) -> RecordedVersions:
        """Return the versions that the schema's version table records."""
        hook = self.hook
        within = DatabaseHook(self.connection, hook.tls, self.schema, hook.limits)
        return read_versions(within, self.schema)

    def columns(self) -> dict[str, list[Column]]:
        """Return the columns of every table, in their order."""
        tables: dict[str, list[Column]] = {}
        for table, name, kind, collation, primary in self._rows("select_columns"):
            if table != LOADED:
                tables.setdefault(table, []).append(Column(name, kind, collation, bool(primary)))
        return tables

    def structure(self, triggers: bool = True) -> dict[str, str]:
        """Return the definition of each table and trigger, without counters that only grow."""
        made = {}
        with self.cursor() as cursor:
            for table in self.tables():
                row = self.ask(cursor, f"SHOW CREATE TABLE {quoted(self.schema, table)}")
                text = _text(row[1])
                made[table] = re.sub(r" AUTO_INCREMENT=\d+", "", text)
        for name, statement in self._rows("select_trigger_statements") if triggers else ():
            made[name] = statement
        return made

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        """Ask many questions over one connection, without a line in the log for each."""
        connection: Any = self.hook.get_conn()
        with closing(connection), closing(connection.cursor()) as cursor:
            yield cursor

    def ask(self, cursor: Any, statement: str) -> Any:
        """Return the first row of an answer; DatabaseSilent if there is none in time."""
        with self.hook.answering():
            cursor.execute(statement)
            return cursor.fetchone()

    def _rows(self, question: str) -> list[list[Any]]:
        rows = self.hook.get_records(sql(question), {"schema": self.schema})
        return [[_text(each) for each in row] for row in rows]


def structures_differ(live: SchemaReader, kept: SchemaReader, triggers: bool = True) -> list[str]:
    """Return the tables and triggers that differ, or that one of the schemas lacks."""
    here, there = live.structure(triggers), kept.structure(triggers)
    return sorted(name for name in {*here, *there} if here.get(name) != there.get(name))


def compare_rows(live: SchemaReader, kept: SchemaReader) -> Difference:
    """Count, table by table, the rows that differ between the schemas.

    While clients write, each table is read at another moment; without writers the numbers are
    exact.
    """
    here, there = live.columns(), kept.columns()
    schemas = (live.schema, kept.schema)
    tables = []
    with live.cursor() as cursor:
        for table in sorted({*here, *there} - VERSION_TABLES):
            counts = {}
            for kind, statement in counting_statements(
                table, here.get(table), there.get(table), schemas
            ).items():
                counts[kind] = int(live.ask(cursor, statement)[0])
            tables.append(table_difference(table, counts))
    return Difference(tuple(tables))


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes | bytearray) else value
