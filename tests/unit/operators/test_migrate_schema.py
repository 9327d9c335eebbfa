"""Right before contract everything is asked once more; what does not answer counts as old.

A phase works on its target: the live schema, or another one.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.mysql.hooks.mysql import MySqlHook
from airflow.providers.ssh.hooks import ssh
from airflow.sdk.exceptions import AirflowFailException
from tenacity import wait_none

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.run.events import Judged, Planned
from keystone_rollout.domain.schema.target import PhaseTarget
from keystone_rollout.hooks.database.sql import sql
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.procedures.run.run import RolloutRun
from operators import migrate_schema
from operators.migrate_schema import PhaseOperator, refuse_anything_old
from tests.stand_ins.image_listings import image_of
from tests.stand_ins.in_memory_haproxy import Balancer, in_memory_haproxy

CLOSED_PORT = 1


def test_contract_is_refused_while_a_node_is_not_known_to_be_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Airflow's hook asks a node that refuses the connection three times, 3 to 5 s apart.
    for pause in ("wait_fixed", "wait_random"):
        monkeypatch.setattr(ssh, pause, lambda *seconds: wait_none())
    cloud = load_cloud("lab")
    nowhere = {"conn_type": "ssh", "host": "127.0.0.1", "port": CLOSED_PORT, "login": "nobody"}
    api = {"conn_type": "generic", "host": f"http://127.0.0.1:{CLOSED_PORT}/v3", "login": "admin"}
    node = cloud.nodes[0].model_copy(update={"url": f"http://127.0.0.1:{CLOSED_PORT}/v3"})
    monkeypatch.setenv(f"AIRFLOW_CONN_{node.ssh.upper()}", json.dumps(nowhere))
    monkeypatch.setenv(f"AIRFLOW_CONN_{cloud.api.connection.upper()}", json.dumps(api))
    run = RolloutRun(
        cloud.model_copy(update={"nodes": [node]}), RunDirectory("run-1", tmp_path), "contract"
    )
    with in_memory_haproxy(Balancer()) as balancer:
        haproxy = {"conn_type": "generic", "host": "127.0.0.1", "port": balancer.port}
        name = f"AIRFLOW_CONN_{cloud.load_balancers[0].connection.upper()}"
        monkeypatch.setenv(name, json.dumps(haproxy))
        with pytest.raises(AirflowFailException) as refused:
            refuse_anything_old(run)
    text = str(refused.value)
    assert "gate 'all nodes, at contract' is closed" in text
    assert "FAILED release (keystone-1): measured unknown: keystone-1: step report_release" in text
    assert "FAILED server (haproxy/keystone-2): measured ready/UP, not a node of the" in text
    assert "limit 13.0.4 running" in text
    assert "contract would break an old node" in text
    assert run.directory.last(Judged) is not None


VERSIONS = {
    "keystone": 109, "keystone_expand": 44, "keystone_data_migrate": 44, "keystone_contract": 24,
}  # fmt: skip


class PlayedServer:
    """Answer as a database server whose schemas all stand at Queens before contract."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read: set[tuple[str, str | None]] = set()
        self.watched: set[str] = set()
        answers: dict[str, list[tuple[Any, ...]]] = {
            sql("select_version_tables"): [("migrate_version",)],
            sql("select_migrate_version"): list(VERSIONS.items()),
            sql("show_grants"): [("GRANT ALL PRIVILEGES ON *.* TO `a`@`%`",)],
        }

        def get_records(hook: MySqlHook, question: str, _parameters: Any = None) -> list[Any]:
            if question == sql("select_migrate_version"):
                self.read.add((hook.get_conn_id(), hook.schema))
            return answers[question]

        monkeypatch.setattr(MySqlHook, "get_records", get_records)
        monkeypatch.setattr(MySqlHook, "get_conn", lambda hook: self)
        monkeypatch.setattr(MySqlHook, "set_autocommit", lambda *_: None)

    def cursor(self) -> PlayedServer:
        return self

    def execute(self, _question: str, parameters: dict[str, str]) -> None:
        self.watched.add(parameters["schema"])

    def fetchall(self) -> list[Any]:
        return []

    def close(self) -> None:
        pass


def copy_of(cloud: Cloud) -> PhaseTarget:
    return PhaseTarget("a_copy", "copy_owner", "copy_reader", "copy_owner")


@pytest.mark.parametrize(
    ("options", "read", "connection"),
    [
        ({}, ("lab_database_reader", "keystone"), "mysql://k:of-conf@db/keystone?"),
        ({"target": copy_of}, ("copy_reader", "a_copy"), "mysql://o:own@db/a_copy?"),
    ],
)
def test_a_phase_reads_watches_and_changes_its_target_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    read: tuple[str, str],
    connection: str,
) -> None:
    for name in ("lab_database_reader", "lab_database_admin", "copy_reader", "copy_owner"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", "mysql://o:own@127.0.0.1/")
    (tmp_path / "keystone.conf").write_text(
        "[database]\nconnection = mysql://k:of-conf@db/keystone"
    )
    server, cloud = PlayedServer(monkeypatch), load_cloud("lab")
    container = cloud.upgrade_container.model_copy(update={"configuration": str(tmp_path)})
    cloud = cloud.model_copy(update={"upgrade_container": container})
    run = RolloutRun(cloud, RunDirectory("run-1", tmp_path), "expand")
    run.directory.record(Planned(migrations=image_of("13.0.4")))
    phase = PhaseOperator(task_id="expand", phase="expand", **options)
    monkeypatch.setattr(phase, "keystone_manage", lambda run, context: (0, []))
    phase.run_phase(run, {})
    assert server.read == {read}
    assert server.watched == {read[1]}
    assert phase.configuration is not None
    assert connection.encode() in phase.configuration.archive


@pytest.mark.parametrize(("options", "asked"), [({}, 1), ({"target": copy_of}, 0)])
def test_only_contract_of_the_live_schema_asks_the_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], asked: int
) -> None:
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path))
    PlayedServer(monkeypatch)
    monkeypatch.setattr(MySqlHook, "get_first", lambda *_: (0,))
    nodes: list[RolloutRun] = []
    monkeypatch.setattr(migrate_schema, "refuse_anything_old", nodes.append)
    gates: list[str] = []
    monkeypatch.setattr(migrate_schema, "proceed", lambda run, gate: gates.append(gate))
    RunDirectory("run-1").record(Planned(migrations=image_of("13.0.4")))
    contract = PhaseOperator(task_id="contract", phase="contract", **options)
    for name in ("wait_for_earlier", "run_phase"):
        monkeypatch.setattr(contract, name, lambda *_: None)
    contract.execute({
        "params": {"cloud": "lab"}, "run_id": "run-1",
        "ti": SimpleNamespace(task_id="contract", dag_id="keystone_upgrade"),
    })  # fmt: skip
    assert (len(nodes), gates) == (asked, ["before contract"])
