"""Set a cloud up that can be taken back: real MariaDB and SSH, HAProxy and Keystone from memory.

The schema is one of the tests' own, with everything that resists being moved: foreign keys, a
view on a view, triggers, a table without a primary key.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.mysql.hooks.mysql import MySqlHook
from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.domain.cloud.model import Cloud, cloud_from_data
from keystone_rollout.domain.node.release_report import NodeReport, RunningRelease
from keystone_rollout.domain.recovery.backup import BackupFacts
from keystone_rollout.domain.recovery.restore import restore_section
from keystone_rollout.domain.run.events import RestoreChanged
from keystone_rollout.hooks.database.backup import DatabaseBackup
from keystone_rollout.hooks.database.comparison import SchemaReader, structures_differ
from keystone_rollout.hooks.database.loader import BackupLoad
from keystone_rollout.hooks.database.restore_history import RestoreHistory
from keystone_rollout.hooks.files.backups import BackupStore
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.run_directory import RunDirectory
from operators.lock_control import ReleaseLockOperator, TakeLockOperator
from operators.restore.outage import RestoreNodesOperator, StopKeystoneOperator
from operators.restore.plan import PlanRestoreOperator
from operators.restore.settle import DropScratchSchemaOperator, ReturnServersOperator
from operators.restore.swap import ConfirmRestoreOperator, SwapSchemasOperator
from operators.restore.verify import VerifyRestoreOperator
from tests.integration.local_sshd import local_sshd
from tests.stand_ins.in_memory_haproxy import Balancer, in_memory_haproxy
from tests.stand_ins.in_memory_keystone import ADMIN_PASSWORD, serve

OLD, NEW = "12.0.3", "13.0.4"
LIVE = "keystone_rollout_example"
NODES = ("keystone-1", "keystone-2", "keystone-3")
WRITER = "restore_writer"

PIKE = [
    "CREATE TABLE migrate_version (repository_id VARCHAR(250) PRIMARY KEY, version INT)",
    "INSERT INTO migrate_version VALUES ('keystone', 109), ('keystone_expand', 24), "
    "('keystone_data_migrate', 24), ('keystone_contract', 24)",
    "CREATE TABLE user (id VARCHAR(64) PRIMARY KEY, extra TEXT, enabled TINYINT)",
    "CREATE TABLE password (id INT AUTO_INCREMENT PRIMARY KEY, user_id VARCHAR(64) NOT NULL, "
    "hash VARCHAR(128), FOREIGN KEY (user_id) REFERENCES user (id) ON DELETE CASCADE)",
    "CREATE TABLE whitelisted (name VARCHAR(64))",
    "INSERT INTO user VALUES ('a', '{}', 1), ('b', '{}', 1), ('c', NULL, 1), ('d', '{}', 1)",
    "INSERT INTO password (user_id, hash) VALUES ('a', 'x'), ('b', 'y'), ('c', 'z')",
    "INSERT INTO whitelisted VALUES ('one')",
    "CREATE VIEW names AS SELECT user.id, hash FROM user JOIN password ON user_id = user.id",
    "CREATE VIEW a_first AS SELECT id FROM names",
    "CREATE TRIGGER filled BEFORE INSERT ON user FOR EACH ROW SET NEW.enabled = 1",
]
UPGRADE = [
    "UPDATE migrate_version SET version = 44 WHERE repository_id <> 'keystone'",
    "ALTER TABLE password ADD COLUMN expires_at_int BIGINT",
    "CREATE TABLE limits (id INT PRIMARY KEY)",
    "CREATE TRIGGER kept BEFORE UPDATE ON limits FOR EACH ROW SET NEW.id = NEW.id",
    "CREATE VIEW newest AS SELECT id FROM limits",
]
WRITES = [
    "INSERT INTO user (id) VALUES ('e'), ('f'), ('g')",
    "DELETE FROM user WHERE id = 'b'",  # and its password with it
    "UPDATE user SET extra = '{\"email\": 1}' WHERE id = 'a'",
    "UPDATE user SET extra = '' WHERE id = 'c'",
    "UPDATE password SET hash = 'X' WHERE user_id = 'a'",  # another case only
    "INSERT INTO limits VALUES (1), (2)",
    "INSERT INTO whitelisted VALUES ('two')",
]
LOST = {
    "limits": (2, 0, 0),
    "password": (0, 1, 1),
    "user": (3, 1, 2),
    "whitelisted": (1, 0, 0),
}
STEPS = {
    "check_kept": "true",
    "configure": "true",
    "enable_repository": "true",
    "flush_cache": "echo flushed >> log",
    "install": "echo {{ release }} > installed",
    "report_release": "echo $(cat installed) 100 $(test -e running && echo 150 || echo stopped)",
    "start": "test ! -e broken && touch running && echo start {{ release }} >> log",
    "stop": "test ! -e stuck && rm -f running && echo stop >> log",
}


@dataclass
class Stage:
    """Hold the cloud, and do to it what clients, upgrades and operators do."""

    cloud: Cloud
    balancer: Balancer
    admin: MySqlHook
    folder: Path
    before: set[str]
    """Schemas that the server had before the test."""

    def sql(self, *statements: str) -> None:
        hook = MySqlHook(mysql_conn_id="lab_database_admin", schema=LIVE)
        hook.run(list(statements), autocommit=True)

    def rows(self, question: str, schema: str = LIVE) -> list[Any]:
        hook = MySqlHook(mysql_conn_id="lab_database_admin", schema=schema)
        return [row[0] for row in hook.get_records(question)]

    def node(self, name: str) -> Path:
        return self.folder / name

    def back_up(self, name: str = "before") -> Path:
        path, verdict = DatabaseBackup(self.cloud, self.folder / "backups").verify(name)
        assert verdict.ok, str(verdict)
        nodes = {name: self.report(name) for name in NODES}
        BackupStore(self.cloud).describe(
            path, BackupFacts(self.cloud.name, LIVE, time.time() - 7500, nodes)
        )
        return path

    def report(self, name: str) -> NodeReport:
        release, state = self.runs(name).split()
        return NodeReport(RunningRelease(release, running=state == "running"))

    def runs(self, name: str) -> str:
        release = (self.node(name) / "installed").read_text().strip()
        return f"{release} {'running' if (self.node(name) / 'running').exists() else 'stopped'}"

    def upgrade(self) -> None:
        self.sql(*UPGRADE)
        for name in NODES:
            (self.node(name) / "installed").write_text(f"{NEW}\n")

    def log(self, name: str) -> str:
        return (self.node(name) / "log").read_text()

    def serving(self) -> list[str]:
        return [
            n for n, server in self.balancer.servers.items() if server.alive and not server.admin
        ]

    def replaced(self) -> list[str]:
        names = self.rows("SHOW DATABASES LIKE 'keystone\\_rollout\\_replaced%'")
        return [name for name in names if name not in self.before]

    def run(self, confirm: str = "", run_id: str = "run", until: str = "", dead: str = "") -> str:
        """Run the DAG's tasks in its order, teardowns always; return the first failure's message.

        ``until`` is the task before which the run is killed: nothing of it runs after that.
        ``dead`` is the killed run whose lock is broken.
        """
        context = {
            "params": {"cloud": "example", "backup": "", "confirm": confirm, "break_lock": dead},
            "run_id": run_id,
            "ti": SimpleNamespace(task_id="task", dag_id="keystone_restore"),
        }
        if dead:
            time.sleep(self.cloud.limits.lock_stale_seconds)
        failure = ""
        for task, teardown in (
            (TakeLockOperator, False), (PlanRestoreOperator, False),
            (ConfirmRestoreOperator, False),
            (StopKeystoneOperator, False), (SwapSchemasOperator, False),
            (RestoreNodesOperator, False), (VerifyRestoreOperator, False),
            (ReturnServersOperator, True), (DropScratchSchemaOperator, True),
            (ReleaseLockOperator, True),
        ):  # fmt: skip
            if task.__name__ == until:
                return failure or "killed"
            if failure and not teardown:
                continue
            try:
                task(task_id="task").execute(context)
            except AirflowFailException as error:
                failure = failure or f"{task.__name__}: {error}"
        return failure

    def phrase(self, dead: str = "") -> str:
        refusal = self.run(run_id="asking", dead=dead)
        assert refusal.startswith("ConfirmRestoreOperator: param confirm is empty."), refusal
        return refusal.split("param confirm: ")[1]

    def section(self, run_id: str = "run") -> dict[str, Any]:
        section = restore_section(RunDirectory(run_id).events(RestoreChanged))
        assert section is not None
        return {name: each for name, each in vars(section).items() if each is not None}

    def assert_restored(self, run_id: str = "run") -> None:
        kept = BackupLoad(self.cloud).load(self.folder / "backups" / "before.sql")
        live = SchemaReader("lab_database_admin", LIVE)
        assert structures_differ(live, kept) == []
        assert live.views() == ["a_first", "names"]
        assert live.triggers() == ["filled"]
        BackupLoad(self.cloud).drop()
        assert self.rows("SELECT id FROM user ORDER BY id") == ["a", "b", "c", "d"]
        assert self.rows("SELECT id FROM a_first ORDER BY id") == ["a", "b", "c"]
        assert {self.runs(name) for name in NODES} == {f"{OLD} running"}
        assert self.serving() == list(NODES)
        assert RestoreHistory(self.cloud).open() is None
        section = self.section(run_id)
        assert section["outcome"] == "restored"
        assert section["began"] < section["swapped"] < section["served"] <= section["ended"]


def lost(section: dict[str, Any]) -> dict[str, tuple[int, int, int]]:
    return {
        table.table: (table.lost, table.returning, table.changed)
        for table in section["lost"].affected
    }


@pytest.fixture
def stage(
    lab_connections: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    """Make a cloud of three nodes on the old release, with a schema of its own."""
    admin = MySqlHook(mysql_conn_id="lab_database_admin")
    before = {row[0] for row in admin.get_records("SHOW DATABASES")}
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("ROLLOUT_CLOUDS", str(tmp_path))
    data = load_cloud_data(tmp_path)
    (tmp_path / "example.yaml").write_text(json.dumps(data))  # JSON is YAML
    with ExitStack() as stack:
        balancer = stack.enter_context(in_memory_haproxy(Balancer()))
        keystone = stack.enter_context(serve())
        connections = {
            "example_haproxy": {"conn_type": "generic", "host": "127.0.0.1", "port": balancer.port},
            "example_api": {
                "conn_type": "generic", "host": keystone.auth_url, "login": "admin",
                "password": ADMIN_PASSWORD,
            },
        }  # fmt: skip
        for node in data["nodes"]:
            name = node["name"]
            folder = tmp_path / name
            folder.mkdir()
            (folder / "installed").write_text(f"{OLD}\n")
            (folder / "running").touch()

            def follow(name: str = name, folder: Path = folder) -> None:
                balancer.servers[name].alive = (folder / "running").exists()

            connections[node["ssh"]] = stack.enter_context(local_sshd(folder, follow))
            node["url"] = keystone.auth_url
        for index, node in enumerate(data["nodes"]):  # each URL has to be unique
            node["url"] += "/" * index
        (tmp_path / "example.yaml").write_text(json.dumps(data))
        for name, connection in connections.items():
            monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
        admin.run([f"DROP DATABASE IF EXISTS {LIVE}", f"CREATE DATABASE {LIVE}"], autocommit=True)
        stage = Stage(load_cloud("example"), balancer, admin, tmp_path, before)
        try:
            stage.sql(*PIKE)
            yield stage
        finally:
            admin.run(f"DROP USER IF EXISTS {WRITER}", autocommit=True)
            for name in {row[0] for row in admin.get_records("SHOW DATABASES")} - before:
                admin.run(f"DROP DATABASE `{name}`", autocommit=True)
            if "keystone_rollout" in before:
                forget = "DELETE FROM keystone_rollout.schema_restore WHERE live = %(live)s"
                admin.run(forget, parameters={"live": LIVE}, autocommit=True)


def load_cloud_data(folder: Path) -> dict[str, Any]:
    data = {
        "name": "example", "source": OLD, "target": NEW,
        "upgrade_container": {"image": "none", "configuration": "none"},
        "databases": {"reader": "lab_database_admin", "keystone": "lab_database_admin",
                      "administrator": "lab_database_admin", "schema": LIVE},
        "load_balancers": [
            {"name": "haproxy", "connection": "example_haproxy", "backend": "keystone"}
        ],
        "api": {"connection": "example_api"},
        "nodes": [
            {"name": name, "ssh": f"example_{number}", "server": name, "url": name}
            for number, name in enumerate(NODES)
        ],
        "node_steps": {"preset": "dnf", "override": STEPS},
        "limits": {
            "lock_stale_seconds": 1,
            "node": {"drain_seconds": 0.5, "up_seconds": 2, "start_seconds": 2,
                     "stable_seconds": 0.2},
        },
        "backup_directory": str(folder / "backups"),
    }  # fmt: skip
    cloud_from_data(data)
    return data


@pytest.fixture
def upgraded(stage: Stage) -> Stage:
    """Back up, upgrade, and let clients write."""
    stage.back_up()
    stage.upgrade()
    stage.sql(*WRITES)
    return stage


def assert_as_before(stage: Stage, users: int = 6) -> None:
    """Nothing was moved, everything serves again, and nothing of the attempt is left."""
    assert stage.serving() == list(NODES)
    assert {stage.runs(name) for name in NODES} == {f"{NEW} running"}
    live = SchemaReader("lab_database_admin", LIVE)
    assert str(live.versions()) == "44/44/44"
    assert live.triggers() == ["filled", "kept"]
    assert live.views() == ["a_first", "names", "newest"]
    assert stage.rows("SELECT COUNT(*) FROM user") == [users]
    assert stage.replaced() == []
    assert RestoreHistory(stage.cloud).open() is None
    assert not list((stage.folder / "backups").glob("*.definitions"))
