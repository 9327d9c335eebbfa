"""Ask the cloud's database where the schema stands, and what the accounts may do."""

from __future__ import annotations

import re

from airflow.providers.mysql.hooks.mysql import MySqlHook

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.schema.versions import RecordedVersions
from keystone_rollout.hooks.database.sql import sql
from keystone_rollout.hooks.database.version_reader import read_versions, text

ADMINISTRATOR_NEEDS = ("CREATE", "DROP", "SELECT", "INSERT", "TRIGGER", "LOCK TABLES")
KEYSTONE_NEEDS = ("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX",
                  "REFERENCES", "TRIGGER")  # fmt: skip
SET_GLOBAL = ("SUPER", "BINLOG ADMIN", "SYSTEM_VARIABLES_ADMIN")
SEE_SESSIONS = ("PROCESS",)


class KeystoneDatabase:
    """Read the keystone schema through a cloud's connections."""

    def __init__(self, cloud: Cloud) -> None:
        self.schema = cloud.databases.schema_name
        self.reader = MySqlHook(mysql_conn_id=cloud.databases.reader)
        self.administrator = MySqlHook(mysql_conn_id=cloud.databases.administrator)

    def versions(self) -> RecordedVersions:
        """Return where the schema stands, by the table that records it."""
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
