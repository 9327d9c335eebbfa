"""Read where a Keystone schema stands, from whichever table records it."""

from __future__ import annotations

from airflow.providers.mysql.hooks.mysql import MySqlHook

from keystone_rollout.domain.schema.versions import (
    RecordedVersions,
    VersionTable,
    recorded_versions,
)
from keystone_rollout.hooks.database.sql import sql


def read_versions(hook: MySqlHook, schema: str) -> RecordedVersions:
    """Return what the version table says; ``hook`` is connected to that schema.

    Raises ValueError where the schema has no version table that says anything.
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
