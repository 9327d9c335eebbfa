"""What a restore needs is found while everything still serves, all of it at once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from keystone_rollout.domain.node.cycle import Machine
from keystone_rollout.domain.node.release_report import NodeReport, RunningRelease
from keystone_rollout.domain.node.steps import Step
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.node.all_nodes import AllNodes
from keystone_rollout.procedures.restore.checks import RestoreChecks
from tests.stand_ins.in_memory_haproxy import Balancer, Server, in_memory_haproxy
from tests.stand_ins.systems import run_with

NODES = ["keystone-1", "keystone-2", "keystone-3"]
COMPLETE = "-- MariaDB dump 10\n-- Host: h    Database: keystone\n-- Dump completed\n"
UNREACHABLE = {"conn_type": "mysql", "host": "127.0.0.1", "port": 1, "login": "a",
               "extra": {"client": "mysql-connector-python"}}  # fmt: skip


class Node:
    """Print what a node lacks."""

    def __init__(self, **lacking: str) -> None:
        self.lacking = lacking

    def run(self, step: Step, release: str) -> str:
        return self.lacking.get(step.value, "")

    def missing_privileges(self) -> list[str]:
        return self.lacking.get("check_privileges", "").splitlines()


class Silent(Node):
    """Cannot be reached."""

    def run(self, step: Step, release: str) -> str:
        raise RuntimeError("no route\nto host")


@pytest.fixture
def balancer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Balancer]:
    with in_memory_haproxy(Balancer()) as running:
        connection = {"conn_type": "generic", "host": "127.0.0.1", "port": running.port}
        monkeypatch.setenv("AIRFLOW_CONN_LAB_HAPROXY", json.dumps(connection))
        monkeypatch.setenv("AIRFLOW_CONN_LAB_DATABASE_ADMIN", json.dumps(UNREACHABLE))
        yield running


def findings(
    folder: Path, target: str = "13.0.4", **nodes: Machine
) -> dict[tuple[str, str], Verdict]:
    cloud = load_cloud("lab", "12.0.3", target)
    backup = folder / "backup.sql"
    backup.write_text(COMPLETE)
    machines: dict[str, Machine] = {name: Node() for name in NODES}
    machines |= {name.replace("_", "-"): node for name, node in nodes.items()}
    reports: dict[str, NodeReport] = {
        "keystone-1": NodeReport(RunningRelease("13.0.4", running=True)),
        "keystone-2": NodeReport(RunningRelease("14.2.0", running=True)),
        "keystone-3": NodeReport(problem="no route to host"),
    }
    checks = RestoreChecks(run_with(cloud, folder, nodes=AllNodes(cloud, machines)))
    verdicts = checks.run(backup, reports)
    return {(verdict.check, verdict.object): verdict for verdict in verdicts}


def test_a_node_with_the_targets_package_may_be_restored(
    balancer: Balancer, tmp_path: Path
) -> None:
    found = findings(tmp_path, target="2:13.0.4-0ubuntu1.2")
    assert found["release", "keystone-1"].ok
    assert not found["release", "keystone-2"].ok


def test_every_check_is_made_also_where_another_one_cannot_be(
    balancer: Balancer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program in ("mariadb", "mariadb-dump"):
        path = tmp_path / program
        path.write_text("#!/bin/sh\necho '  --binary-mode'\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    found = findings(tmp_path)
    assert {key for key, verdict in found.items() if not verdict.ok} == {
        ("release", "keystone-2"),
        ("release", "keystone-3"),
        ("preflight", "lab_database_admin"),
    }
    assert {key for key, verdict in found.items() if verdict.ok} == {
        ("release", "keystone-1"),
        ("backup file", "backup.sql"),
        ("client", "mariadb"),
        ("level", "haproxy"),
        ("inventory", "haproxy"),
        *(("way back", name) for name in NODES),
    }
    assert {verdict.consequence for verdict in found.values()} == {"nothing was touched"}


def test_a_node_that_cannot_be_stopped_is_a_finding(balancer: Balancer, tmp_path: Path) -> None:
    found = findings(tmp_path)
    assert found["release", "keystone-2"].measured == "14.2.0 running"
    assert str(found["release", "keystone-3"]) == (
        "FAILED release (keystone-3): measured unknown: no route to host, limit 12.0.3 or 13.0.4 "
        "installed, reachable over SSH. Consequence: nothing was touched. Next: correct source "
        "and target, or repair keystone-3: a node that cannot be stopped may write"
    )


def test_what_a_node_has_not_kept_or_may_not_do_is_listed(
    balancer: Balancer, tmp_path: Path
) -> None:
    lacking = Node(check_kept="keystone.deb\n", check_privileges="tee x\nservice stop\n")
    found = findings(tmp_path, keystone_1=lacking, keystone_2=Silent())
    verdict = found["way back", "keystone-1"]
    assert not verdict.ok
    assert verdict.measured == (
        "keystone.deb; sudo tee x not allowed; sudo service stop not allowed"
    )
    assert found["way back", "keystone-2"].measured == "no route\nto host"
    assert found["way back", "keystone-3"].ok


def test_a_server_that_is_no_node_would_go_on_writing(balancer: Balancer, tmp_path: Path) -> None:
    balancer.servers["keystone-9"] = Server()
    del balancer.servers["keystone-2"]
    balancer.level = "operator"
    found = findings(tmp_path)
    verdict = found["inventory", "haproxy"]
    assert not verdict.ok
    assert verdict.measured == "unknown to it: keystone-2; not in the cloud file: keystone-9"
    assert found["level", "haproxy"].measured == "operator"
