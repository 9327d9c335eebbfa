"""Ask the cloud's database for the schema's versions, and for the rights of the accounts."""

from __future__ import annotations

import re

from airflow.providers.mysql.hooks.mysql import MySqlHook

from keystone_rollout.domain.clock import Clock
from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.schema.difference import quoted
from keystone_rollout.domain.schema.target import PhaseTarget, live_target
from keystone_rollout.domain.schema.versions import (
    RecordedVersions,
    VersionTable,
    recorded_versions,
)
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK
from keystone_rollout.hooks.database.connection import DatabaseHook
from keystone_rollout.hooks.database.sql import sql


def read_versions(hook: MySqlHook, schema: str) -> RecordedVersions:
    """Return the recorded versions; ``hook`` is connected to that schema.

    Raises ValueError if no version table has a row.
    """
    tables = {text(name) for (name,) in hook.get_records(sql("select_version_tables"),
                                                         {"schema": schema})}  # fmt: skip
    repositories = revisions = None
    if VersionTable.MIGRATE in tables:
        rows = hook.get_records(sql("select_migrate_version"))
        repositories = {text(name): int(version) for name, version in rows}
    if VersionTable.ALEMBIC in tables:
        revisions = [text(row[0]) for row in hook.get_records(sql("select_alembic_version"))]
    return recorded_versions(repositories, revisions)


def text(value: object) -> str:
    """Return a value as text; some drivers give bytes."""
    return value.decode() if isinstance(value, bytes | bytearray) else str(value)


ADMINISTRATOR_NEEDS = ("CREATE", "DROP", "SELECT", "INSERT", "TRIGGER", "LOCK TABLES")
KEYSTONE_NEEDS = ("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX",
                  "REFERENCES", "TRIGGER")  # fmt: skip
SET_GLOBAL = ("SUPER", "BINLOG ADMIN", "SYSTEM_VARIABLES_ADMIN")
SEE_SESSIONS = ("PROCESS",)


class KeystoneDatabase:
    """One schema of a cloud's database server.

    :param target: says which one; by default the live one
    """

    def __init__(self, cloud: Cloud, target: PhaseTarget | None = None) -> None:
        target = target or live_target(cloud)
        self.schema = target.schema
        self.reader = DatabaseHook(target.reader, cloud.tls, target.schema, cloud.limits)
        self.administrator = DatabaseHook(target.administrator, cloud.tls, limits=cloud.limits)

    def versions(self) -> RecordedVersions:
        """Return the versions that the schema's version table records."""
        return read_versions(self.reader, self.schema)

    def triggers(self) -> int:
        """Return how many triggers the schema has."""
        row = self.administrator.get_first(sql("count_triggers"), {"schema": self.schema})
        return int(row[0])

    def size(self) -> int:
        """Return the schema's size on the server in bytes."""
        row = self.administrator.get_first(sql("select_schema_size"), {"schema": self.schema})
        return int(row[0])

    def server(self) -> str:
        """Return host and port of the server the administrator's connection reaches."""
        return text(self.administrator.get_first(sql("select_server_identity"))[0])


def missing_privileges(hook: MySqlHook, needed: tuple[str, ...], schema: str) -> list[str]:
    """Return the privileges that an account lacks on a schema, by SHOW GRANTS."""
    granted: set[str] = set()
    for row in hook.get_records(sql("show_grants")):
        match = re.match(r"GRANT (.+?) ON (\S+) TO", text(row[0]))
        if match and _covers(match[2], schema):
            granted |= {each.strip().upper() for each in match[1].split(",")}
    if "ALL PRIVILEGES" in granted:
        return []
    return [privilege for privilege in needed if privilege not in granted]


def has_global_right(hook: MySqlHook, any_of: tuple[str, ...]) -> bool:
    """Tell whether an account has one of these privileges on *.*, by SHOW GRANTS."""
    grants = " ".join(
        text(row[0]) for row in hook.get_records(sql("show_grants")) if " ON *.* " in text(row[0])
    )
    return "ALL PRIVILEGES" in grants or any(right in grants for right in any_of)


def _covers(granted_on: str, schema: str) -> bool:
    name = granted_on.replace("`", "").replace("\\", "").removesuffix(".*")
    return name in ("*", schema)


COUNTED_BELOW = 10_000
"""Rows, as the server estimates them, below which a table is counted; a larger one is not read."""


def read_table_sizes(hook: MySqlHook, schema: str) -> dict[str, dict[str, int]]:
    """Return every table's rows, whether they were counted or estimated, and bytes."""
    sizes = {}
    for name, rows, size in hook.get_records(sql("select_table_sizes"), {"schema": schema}):
        table, exact = text(name), int(rows) < COUNTED_BELOW
        if exact:
            question = sql("count_rows").format(table=quoted(schema, table))
            rows = hook.get_first(question)[0]
        sizes[table] = {"rows": int(rows), "exact": exact, "bytes": int(size)}
    return sizes


WAIT_SECONDS = 10.0
POLL_SECONDS = 0.5


def wait_no_writers(
    cloud: Cloud, limit: float = WAIT_SECONDS, clock: Clock = SYSTEM_CLOCK
) -> list[str]:
    """Wait until no session but the reader's is left in the schema; return the rest in words.

    A stopped service's connections end a moment after it. Only this database server's sessions are
    seen, not those of Galera's other members.
    """
    reader = DatabaseHook(cloud.databases.reader, cloud.tls, limits=cloud.limits)
    login = reader.get_connection(cloud.databases.reader).login or ""
    admin = DatabaseHook(cloud.databases.administrator, cloud.tls, limits=cloud.limits)
    question = {"schema": cloud.databases.schema_name, "reader": login}
    end = clock.elapsed() + limit
    while True:
        rows = admin.get_records(sql("select_other_sessions"), question)
        if not rows or clock.elapsed() > end:
            return [f"session {row[0]} of {row[1]} from {row[2]}" for row in rows]
        clock.sleep(POLL_SECONDS)
