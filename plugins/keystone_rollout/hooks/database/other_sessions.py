"""Find out who is left in Keystone's schema when nobody should be."""

from __future__ import annotations

import time

from airflow.providers.mysql.hooks.mysql import MySqlHook

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.hooks.database.sql import sql

WAIT_SECONDS = 10.0
POLL_SECONDS = 0.5


def wait_no_writers(cloud: Cloud, limit: float = WAIT_SECONDS) -> list[str]:
    """Wait until no session but the reader's is left in the schema; return the rest in words.

    A stopped service's connections end a moment after it. Only this database server's sessions
    are seen: with Galera the other members' are not.
    """
    reader = MySqlHook(mysql_conn_id=cloud.databases.reader)
    login = reader.get_connection(cloud.databases.reader).login or ""
    admin = MySqlHook(mysql_conn_id=cloud.databases.administrator)
    question = {"schema": cloud.databases.schema_name, "reader": login}
    end = time.monotonic() + limit
    while True:
        rows = admin.get_records(sql("select_other_sessions"), question)
        if not rows or time.monotonic() > end:
            return [f"session {row[0]} of {row[1]} from {row[2]}" for row in rows]
        time.sleep(POLL_SECONDS)
