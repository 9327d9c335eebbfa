"""The DAG as operators run it: triggered under a scheduler, with watch_load really beside it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import requests

from lab import database, nodes
from lab.paths import STATE

pytestmark = [pytest.mark.lab, pytest.mark.rehearsal]

ROOT = Path(__file__).resolve().parents[2]
PAGE = "http://127.0.0.1:8080"
DAG_RUNS = f"{PAGE}/api/v2/dags/keystone_upgrade/dagRuns"
START_SECONDS = 180.0
RUN_SECONDS = 900.0


@pytest.fixture
def page() -> Iterator[requests.Session]:
    """Start `make ui`'s command, and yield a session that is logged in."""
    process = subprocess.Popen([sys.executable, "-m", "lab", "ui"], cwd=ROOT)
    session = requests.Session()
    try:
        end = time.monotonic() + START_SECONDS
        while not _knows_the_dag(session):
            assert process.poll() is None, "the page's process has ended"
            assert time.monotonic() < end, f"no DAG on {PAGE} after {START_SECONDS:g} s"
            time.sleep(2)
        yield session
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _knows_the_dag(session: requests.Session) -> bool:
    try:
        token = session.get(f"{PAGE}/auth/token", timeout=10).json()["access_token"]
        session.headers["Authorization"] = f"Bearer {token}"
        answer = session.get(f"{PAGE}/api/v2/dags/keystone_upgrade", timeout=10)
    except (requests.RequestException, ValueError, KeyError):
        return False
    return answer.status_code == 200


def _run_to_end(session: requests.Session) -> dict[str, Any]:
    unpaused = session.patch(
        f"{PAGE}/api/v2/dags/keystone_upgrade", json={"is_paused": False}, timeout=20
    )
    assert unpaused.status_code == 200, unpaused.text
    triggered = session.post(
        DAG_RUNS,
        json={"logical_date": None, "conf": {"cloud": "lab", "auto_approve": True}},
        timeout=20,
    )
    assert triggered.status_code == 200, triggered.text
    run_id = triggered.json()["dag_run_id"]
    end = time.monotonic() + RUN_SECONDS
    while True:
        run: dict[str, Any] = session.get(f"{DAG_RUNS}/{run_id}", timeout=20).json()
        if run["state"] in ("success", "failed"):
            return run
        assert time.monotonic() < end, f"{run_id} is still {run['state']}"
        time.sleep(3)


def test_triggered_from_the_page_the_upgrade_ends_green(
    fresh_lab: docker.DockerClient, page: requests.Session
) -> None:
    run = _run_to_end(page)
    tasks = page.get(f"{DAG_RUNS}/{run['dag_run_id']}/taskInstances?limit=200", timeout=20).json()
    states = {task["task_id"]: task["state"] for task in tasks["task_instances"]}
    assert run["state"] == "success", states
    assert set(database.schema_versions().values()) == {"109", "44"}
    assert {state.running for state in nodes.read_states(fresh_lab)} == {"13.0.4"}

    folders = [path for path in (STATE / "runs").glob("*") if path.is_dir()]
    newest = max(folders, key=os.path.getmtime)
    lines = (newest / "events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    steps = {
        (event["step"], event["state"]): event["t"] for event in events if event["kind"] == "step"
    }
    looks = [event["t"] for event in events if event["kind"] == "gate" and event["gate"] == "watch"]
    for node in ("keystone-1", "keystone-2", "keystone-3"):
        began, ended = steps[node, "started"], steps[node, "finished"]
        if ended - began > 12:
            assert any(began < look < ended for look in looks), f"nobody watched during {node}"
    assert len(looks) >= 5
    report = json.loads((newest / "report.json").read_text())
    assert report["load"]["failures"] == 0
