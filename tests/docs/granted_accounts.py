"""Make the database accounts of the runbook on a server, and do with them what the product does."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from airflow.providers.mysql.hooks.mysql import MySqlHook

from keystone_rollout.domain.cloud.model import Cloud, cloud_from_data
from keystone_rollout.domain.run.lock import RunIdentity
from keystone_rollout.hooks.database.backup import DatabaseBackup
from keystone_rollout.hooks.database.comparison import SchemaReader, compare_rows, structures_differ
from keystone_rollout.hooks.database.keystone import (
    KeystoneDatabase,
    read_table_sizes,
    wait_no_writers,
)
from keystone_rollout.hooks.database.loader import BackupLoad
from keystone_rollout.hooks.database.lock_watch import LockWatch
from keystone_rollout.hooks.database.marks import ServersOut
from keystone_rollout.hooks.database.restore_history import RestoreHistory
from keystone_rollout.hooks.database.swap import SchemaSwap
from keystone_rollout.hooks.database.upgrade_lock import UpgradeLock
from keystone_rollout.hooks.database.variables import FunctionCreators, ReadCommitted
from keystone_rollout.hooks.files.cloud_file import load_cloud
from tests.docs.documentation import read_page

SCHEMA = "documented_keystone"
"""Not below `keystone_rollout`, where the administrator may do anything."""

ACCOUNTS = {"reader": "rollout_reader", "keystone": "keystone", "administrator": "rollout_admin"}
REPLACED = "keystone_rollout_replaced_documentation"
Execute = Callable[[str], object]

CONTENT = (
    "CREATE TABLE migrate_version (repository_id VARCHAR(250) PRIMARY KEY, version INT)",
    "INSERT INTO migrate_version VALUES ('keystone', 109), ('keystone_expand', 24), "
    "('keystone_data_migrate', 24), ('keystone_contract', 24)",
    "CREATE TABLE user (id VARCHAR(64) PRIMARY KEY, extra TEXT)",
    "CREATE TABLE password (id INT PRIMARY KEY, user_id VARCHAR(64), "
    "FOREIGN KEY (user_id) REFERENCES user (id))",
    "INSERT INTO user VALUES ('a', '{}'), ('b', '{}')",
    "INSERT INTO password VALUES (1, 'a')",
    "CREATE INDEX extras ON user (extra(8))",
    "ALTER TABLE user ADD COLUMN enabled INT",
    "CREATE TRIGGER filled BEFORE INSERT ON user FOR EACH ROW SET NEW.enabled = 1",
)
"""What a migration does: made by Keystone's own account, with a trigger."""

VIEW = f"CREATE VIEW {SCHEMA}.names AS SELECT id FROM {SCHEMA}.user"  # noqa: S608  (our own name)


def statements() -> list[str]:
    """Return the SQL of the runbook, one statement each, comments left out."""
    (block,) = read_page("docs/runbook.md").blocks("sql")
    lines = [line for line in block.text.splitlines() if not line.startswith("--")]
    return [" ".join(each.split()) for each in "\n".join(lines).split(";") if each.strip()]


@dataclass(frozen=True)
class Server:
    """Hold how a server is reached, and how its own administrator executes a statement."""

    host: str
    port: int
    execute: Execute


@contextmanager
def accounts(server: Server, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Cloud]:
    """Make schema and accounts as the runbook says, under names of the test; remove them after."""
    suffix, password = secrets.token_hex(3), secrets.token_hex(16)
    names = {each: f"{each}_{suffix}" for each in ACCOUNTS.values()}

    def here(statement: str) -> str:
        text = statement.replace("`keystone`.*", f"`{SCHEMA}`.*").replace("CHANGE-ME", password)
        for name, ours in names.items():
            text = text.replace(f"'{name}'@'192.0.2.%'", f"'{ours}'@'%'")
        return text

    server.execute(f"CREATE DATABASE {SCHEMA}")
    try:
        # Keystone's own account exists in production.
        server.execute(f"CREATE USER '{names['keystone']}'@'%' IDENTIFIED BY '{password}'")
        for statement in statements():
            server.execute(here(statement))
        for role, account in ACCOUNTS.items():
            connection = {
                "conn_type": "mysql", "host": server.host, "port": server.port,
                "login": names[account], "password": password,
                "schema": None if role == "administrator" else SCHEMA,
                "extra": {"client": "mysql-connector-python"},
            }  # fmt: skip
            monkeypatch.setenv(f"AIRFLOW_CONN_DOCUMENTED_{role.upper()}", json.dumps(connection))
        yield _cloud(folder)
    finally:
        for schema in (SCHEMA, REPLACED):
            server.execute(f"DROP DATABASE IF EXISTS {schema}")
        for name in names.values():
            server.execute(f"DROP USER IF EXISTS '{name}'@'%'")


def _cloud(folder: Path) -> Cloud:
    data = load_cloud("lab").model_dump(by_alias=True, mode="json")
    data["name"] = "documentation"
    data["backup_directory"] = str(folder)
    data["databases"] = {role: f"documented_{role}" for role in ACCOUNTS} | {"schema": SCHEMA}
    return cloud_from_data(data)


def do_everything(cloud: Cloud, server: Server) -> None:
    """Do what an upgrade and a restore do in the database; whatever is refused raises."""
    database = KeystoneDatabase(cloud)
    with _held(cloud):
        migrate()
        assert str(database.versions()) == "24/24/24"
        assert read_table_sizes(database.reader, SCHEMA)
        assert database.size() > 0
        assert database.triggers() == 1
        with LockWatch(database, "expand", 5) as watch:
            pass
        assert watch.waits.blind is None
        # A view of somebody else's: dumped, and made again, with the account that it names.
        server.execute(VIEW)
        path, verdict = DatabaseBackup(cloud, Path(cloud.backup_directory)).verify("documentation")
        assert verdict.ok, verdict
    restore(cloud, path)


@contextmanager
def _held(cloud: Cloud) -> Iterator[None]:
    """Hold lock, mark and both variables, as a run does, and give them back."""
    run = RunIdentity("documentation", token="documentation")
    lock, marks = UpgradeLock(cloud, run), ServersOut(cloud)
    variables = [FunctionCreators(cloud), ReadCommitted(cloud)]
    before = [each.value() for each in variables]
    verdict, _ = lock.take()
    assert verdict.ok, verdict
    marks.mark("keystone-1", "documentation", "one")
    try:
        for each in variables:
            each.set("documentation")
        yield
    finally:
        for each in variables:
            each.reset()
        marks.clear("keystone-1")
        lock.keep_alive()
        assert lock.release()
    assert [each.value() for each in variables] == before


def migrate() -> None:
    """Work as Keystone's own account."""
    hook = MySqlHook(mysql_conn_id="documented_keystone")
    hook.run(list(CONTENT), autocommit=True)


def restore(cloud: Cloud, path: Path) -> None:
    """Load the backup beside the live schema, compare, move the tables, drop what is left."""
    load, live = BackupLoad(cloud), SchemaReader("documented_administrator", SCHEMA)
    kept, swap = load.load(path), SchemaSwap(cloud, REPLACED)
    try:
        assert compare_rows(live, kept).total == 0
        assert structures_differ(live, kept, triggers=False) == []
        assert wait_no_writers(cloud, 2) == []
        swap.move()
        swap.finish()
        assert swap.done()
        assert live.triggers() == ["filled"]
        assert live.views() == ["names"]
        assert RestoreHistory(cloud).open() is None
    finally:
        load.drop()
