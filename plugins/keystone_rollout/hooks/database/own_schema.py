"""Keep the rollout's own tables in the cloud's database, in a schema of their own."""

from __future__ import annotations

from typing import Any

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.hooks.database.connection import DatabaseHook
from keystone_rollout.hooks.database.keystone import text
from keystone_rollout.hooks.database.sql import sql

SCHEMA = "keystone_rollout"


class RolloutTable:
    """One table of schema `keystone_rollout`, read and written as administrator.

    Every Airflow and people can read it; knowledge of a single Airflow would be lost with it.
    Reading never creates anything.

    :param table: the table's name; include/sql/create_<table>.sql makes it
    :param newest: the column that an earlier version's table may lack; include/sql/
        extend_<table>.sql then adds what is missing, at the first change
    """

    def __init__(self, cloud: Cloud, table: str, newest: str = "") -> None:
        # A node that is out of rotation does not wait for its mark as long as for a large table.
        self.administrator = DatabaseHook(
            cloud.databases.administrator, cloud.tls, limits=cloud.limits, patience="answer_seconds"
        )
        self.cloud = cloud.name
        self.table = table
        self.newest = newest

    def rows(self, question: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Return a question's rows; empty if the table was never made."""
        if not self._columns():
            return []
        found = self.administrator.get_records(sql(question), {"cloud": self.cloud, **parameters})
        return [tuple(row) for row in found]

    def write(self, statement: str, **parameters: Any) -> None:
        """Run one statement that changes the table; schema and table are made at first use."""
        columns = self._columns()
        if not columns:
            self.administrator.run(f"CREATE DATABASE IF NOT EXISTS {SCHEMA}", autocommit=True)
            self.administrator.run(sql(f"create_{self.table}"), autocommit=True)
        elif self.newest and self.newest not in columns:
            self._extend()
        self.administrator.run(
            sql(statement), parameters={"cloud": self.cloud, **parameters}, autocommit=True
        )

    def _extend(self) -> None:
        try:
            self.administrator.run(sql(f"extend_{self.table}"), autocommit=True)
        except Exception:
            # Another run may have been faster.
            if self.newest not in self._columns():
                raise

    def _columns(self) -> set[str]:
        """Return the table's columns; none if it was never made."""
        found = self.administrator.get_records(sql("select_rollout_columns"), {"table": self.table})
        return {text(name) for (name,) in found}
