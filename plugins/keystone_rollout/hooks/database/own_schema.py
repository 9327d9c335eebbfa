"""Keep the rollout's own tables in the cloud's database, in a schema of their own."""

from __future__ import annotations

from typing import Any

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.hooks.database.keystone import KeystoneDatabase
from keystone_rollout.hooks.database.sql import sql

SCHEMA = "keystone_rollout"


class RolloutTable:
    """One table of schema `keystone_rollout`, read and written as administrator.

    Every Airflow and people can read it; knowledge of a single Airflow would be lost with it.
    Reading never creates anything.

    :param table: the table's name; include/sql/create_<table>.sql makes it
    """

    def __init__(self, cloud: Cloud, table: str) -> None:
        self.database = KeystoneDatabase(cloud)
        self.cloud = cloud.name
        self.table = table

    def rows(self, question: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Return a question's rows; empty if the table was never made."""
        if not self._exists():
            return []
        administrator = self.database.administrator
        found = administrator.get_records(sql(question), {"cloud": self.cloud, **parameters})
        return [tuple(row) for row in found]

    def write(self, statement: str, **parameters: Any) -> None:
        """Run one statement that changes the table; schema and table are made at first use."""
        administrator = self.database.administrator
        if not self._exists():
            administrator.run(f"CREATE DATABASE IF NOT EXISTS {SCHEMA}", autocommit=True)
            administrator.run(sql(f"create_{self.table}"), autocommit=True)
        administrator.run(
            sql(statement), parameters={"cloud": self.cloud, **parameters}, autocommit=True
        )

    def _exists(self) -> bool:
        administrator = self.database.administrator
        return bool(administrator.get_first(sql("count_rollout_table"), {"table": self.table})[0])
