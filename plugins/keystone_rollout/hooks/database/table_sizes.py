"""Measure the tables of Keystone's schema with the reader's account."""

from __future__ import annotations

from typing import Any

from airflow.providers.mysql.hooks.mysql import MySqlHook

from keystone_rollout.domain.schema.difference import quoted
from keystone_rollout.hooks.database.sql import sql
from keystone_rollout.hooks.database.version_reader import text

COUNTED_BELOW = 10_000
"""Rows, as the server estimates them, below which a table is counted; a larger one is not read."""


def read_table_sizes(hook: MySqlHook, schema: str) -> dict[str, dict[str, Any]]:
    """Return every table's rows, whether they were counted or estimated, and bytes."""
    sizes = {}
    for name, rows, size in hook.get_records(sql("select_table_sizes"), {"schema": schema}):
        table, exact = text(name), int(rows) < COUNTED_BELOW
        if exact:
            question = sql("count_rows").format(table=quoted(schema, table))
            rows = hook.get_first(question)[0]
        sizes[table] = {"rows": int(rows), "exact": exact, "bytes": int(size)}
    return sizes
