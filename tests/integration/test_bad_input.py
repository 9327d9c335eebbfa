"""Break everything an operator can get wrong at once: one run finds all of it, touching nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from keystone_rollout.domain.verdict import Verdict
from lab.airflow.upgrade_run import UpgradeRun
from lab.cloud import balancer, database, nodes, secrets
from lab.cloud.connections import all_connections
from machine.engine import connect

pytestmark = pytest.mark.lab

ROOT = Path(__file__).resolve().parents[2]
CLOSED_PORT = 1
OTHER_KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIEYeLCyZSDjzbAmDC2zC9nbsWU0WrgTDBcLXgyIuOPZt"


@pytest.fixture
def broken_cloud(lab_connections: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Write a cloud file and connections in which nothing but the names is right."""
    good = all_connections(secrets.load())
    broken = {
        "broken_unreachable": {**good["lab_keystone_1"], "port": CLOSED_PORT},
        "broken_host_key": {
            **good["lab_keystone_2"],
            "extra": {**good["lab_keystone_2"]["extra"], "host_key": f"ssh-ed25519 {OTHER_KEY}"},
        },
        "broken_haproxy": {**good["lab_haproxy"], "port": CLOSED_PORT},
        "broken_password": {**good["lab_database_reader"], "password": "wrong"},
    }
    for name, connection in broken.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
    cloud = yaml.safe_load((ROOT / "include" / "clouds" / "lab.yaml").read_text())
    cloud["nodes"][0]["ssh"] = "broken_unreachable"
    cloud["nodes"][1]["ssh"] = "broken_host_key"
    cloud["nodes"][2]["server"] = "keystone-9"
    cloud["load_balancers"].append(
        {"name": "haproxy-2", "connection": "broken_haproxy", "backend": "keystone"}
    )
    cloud["databases"]["administrator"] = "lab_database_keystone"
    cloud["databases"]["keystone"] = "lab_database_reader"
    (tmp_path / "lab.yaml").write_text(yaml.safe_dump(cloud))
    monkeypatch.setenv("ROLLOUT_CLOUDS", str(tmp_path))
    return tmp_path


EXPECTED = [
    ("preflight", "keystone-1", "step report_release could not run over SSH connection"),
    ("preflight", "keystone-2", "does not match"),
    ("server", "haproxy/keystone-9 of keystone-3", "unknown"),
    ("inventory", "haproxy/keystone-3", "not in the cloud file"),
    ("preflight", "haproxy-2", "does not answer"),
    ("privileges", "lab_database_reader", "missing INSERT"),
    ("SET GLOBAL", "lab_database_keystone", "not allowed"),
    ("PROCESS", "lab_database_keystone", "not allowed"),
    ("fernet keys", "/etc/keystone/fernet-keys", "keystone-3"),
]


def preflight(folder: Path) -> list[Verdict]:
    """Return all findings of the cloud files' lab."""
    from keystone_rollout.hooks.files.cloud_file import load_cloud
    from keystone_rollout.procedures.preflight.checks import PreflightChecks
    from tests.stand_ins.systems import run_with

    return PreflightChecks(run_with(load_cloud("lab"), folder)).run()


def test_all_findings_come_in_one_list(broken_cloud: Path, tmp_path: Path) -> None:
    findings = [verdict for verdict in preflight(tmp_path) if not verdict.ok]
    listed = {(verdict.check, verdict.object): verdict for verdict in findings}
    for check, subject, measured in EXPECTED:
        assert (check, subject) in listed, sorted(listed)
        verdict = listed[check, subject]
        assert measured in verdict.measured
        assert verdict.limit
        assert verdict.next_step
        assert verdict.consequence == "nothing was touched"
    assert len(findings) == len(EXPECTED), [str(verdict) for verdict in findings]


def test_a_wrong_password_is_a_finding(broken_cloud: Path, tmp_path: Path) -> None:
    path = broken_cloud / "lab.yaml"
    cloud = yaml.safe_load(path.read_text())
    cloud["databases"]["reader"] = "broken_password"
    path.write_text(yaml.safe_dump(cloud))
    findings = [str(verdict) for verdict in preflight(tmp_path)]
    denied = [text for text in findings if "Access denied for user 'rollout_reader'" in text]
    assert denied
    assert all(text.startswith("FAILED preflight") for text in denied)
    assert "wrong" not in " ".join(denied).replace("(using password: YES)", "")


def test_the_run_stops_before_anything_is_touched(broken_cloud: Path, fresh_lab: object) -> None:
    before = (balancer.servers(), database.schema_versions(), nodes.read_states(connect()))
    run = UpgradeRun({"cloud": "lab", "auto_approve": True}, clouds=broken_cloud)
    run.start()
    assert run.wait(180) != 0, run.log
    assert (balancer.servers(), database.schema_versions(), nodes.read_states(connect())) == before
    assert {event["step"] for event in run.events() if event["kind"] == "step"} <= {
        "plan",
        "preflight",
    }
    gate = next(event for event in run.events() if event["kind"] == "gate")
    failed = [verdict for verdict in gate["verdicts"] if not verdict["ok"]]
    assert len(failed) == len(EXPECTED)
    assert database.execute("SHOW DATABASES LIKE 'keystone\\_rollout%'") == []
