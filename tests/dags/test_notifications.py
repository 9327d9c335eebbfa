"""A run tells about itself from within Airflow, once, and a receiver that is away changes nothing.

No connection to the cloud is defined here: every run halts at its first look at it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import airflow.providers.slack.notifications.slack_webhook  # noqa: F401  (missing: a failure)
import pytest
from airflow.sdk import DAG

from tests.free_port import free_port
from tests.local_receivers import webhook

ROOT = Path(__file__).resolve().parents[2]


def halt(dag: DAG, folder: Path, monkeypatch: pytest.MonkeyPatch, port: int) -> Any:
    """Run a DAG of a cloud that cannot be reached; return the states and the report's record."""
    monkeypatch.setenv("ROLLOUT_RUNS", str(folder / "runs"))
    monkeypatch.setenv("ROLLOUT_CLOUDS", str(folder))
    text = (ROOT / "include" / "clouds" / "lab.yaml").read_text(encoding="utf-8")
    # No connection of this name is defined anywhere.
    text = text.replace(": lab_", ": nowhere_").replace(
        "keystone-rollout/upgrade:", "no.such/image:"
    )
    (folder / "lab.yaml").write_text(
        f"{text}\nnotifications: [{{via: slack, connection: chat_nearby}}]\n", encoding="utf-8"
    )
    monkeypatch.setenv("AIRFLOW_CONN_CHAT_NEARBY", json.dumps(
        {"conn_type": "slackwebhook", "host": f"http://127.0.0.1:{port}", "password": "token-1"}
    ))  # fmt: skip
    run = dag.test(run_conf={"cloud": "lab"})
    assert run.state == "failed"
    (report,) = (folder / "runs").glob("*/report.json")
    states = {task.task_id: task.state for task in run.get_task_instances()}
    return states, json.loads(report.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("keystone_upgrade", "plan"),
        ("keystone_rollback", "plan"),
        ("keystone_restore", "take_lock"),
    ],
)
def test_a_halted_run_tells_once_why(
    name: str, first: str, dags: dict[str, DAG], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with webhook() as server:
        states, record = halt(dags[name], tmp_path, monkeypatch, server.server_address[1])
    assert states[first] == "failed"
    assert states["write_report"] == "success"
    ((_path, posted),) = server.posted
    text = posted["text"]
    assert f"[lab] Keystone {name.removeprefix('keystone_')} HALTED: " in text
    assert record["run_id"] in text
    assert f"1. {record['steps'][0]['name']}: " in text or "1. FAILED" in text
    assert f"Red tasks: {', '.join(record['failed_tasks'])}" in text
    assert "token-1" not in text
    assert record["deviations"] == []


def test_a_receiver_that_is_away_changes_nothing_but_the_report(
    dags: dict[str, DAG], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states, record = halt(dags["keystone_restore"], tmp_path, monkeypatch, free_port())
    assert states["write_report"] == "success"
    assert record["failed_tasks"] == ["take_lock"]
    (deviation,) = record["deviations"]
    assert deviation["text"].startswith(
        "notification 'halted' by slack (connection chat_nearby) could not be delivered: URLError"
    )


def test_every_dag_that_changes_a_cloud_tells_its_start_and_its_end(dags: dict[str, DAG]) -> None:
    for name in ("keystone_upgrade", "keystone_rollback", "keystone_restore"):
        kinds = [type(task).__name__ for task in dags[name].tasks]
        for kind in ("TakeLockOperator", "WriteReportOperator", "EndRunOperator"):
            assert kinds.count(kind) == 1, f"{name} has no {kind}"
