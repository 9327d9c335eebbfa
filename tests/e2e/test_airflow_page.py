"""Airflow's page, as `make ui` serves it: it knows the DAGs, and ends when it is told to.

What is triggered there is tested with the faults, in tests/scenarios/test_4_scheduler.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import docker
import pytest
import requests

from lab import network
from lab.airflow import UI_PORT

pytestmark = [pytest.mark.lab, pytest.mark.rehearsal]

ROOT = Path(__file__).resolve().parents[2]
PAGE = f"http://127.0.0.1:{UI_PORT}"
START_SECONDS = 180.0


def knows_the_dag() -> bool:
    """Tell whether the page answers without a login, and lists the upgrade."""
    try:
        token = requests.get(f"{PAGE}/auth/token", timeout=10).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        answer = requests.get(f"{PAGE}/api/v2/dags/keystone_upgrade", headers=headers, timeout=10)
    except (requests.RequestException, ValueError, KeyError):
        return False
    return answer.status_code == 200


def test_the_page_is_served_until_it_is_told_to_end(lab: docker.DockerClient) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "plugins")}
    process = subprocess.Popen([sys.executable, "-m", "lab", "ui"], cwd=ROOT, env=environment)
    try:
        end = time.monotonic() + START_SECONDS
        while not knows_the_dag():
            assert process.poll() is None, "the page's process has ended"
            assert time.monotonic() < end, f"no DAG on {PAGE} after {START_SECONDS:g} s"
            time.sleep(2)
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
    assert code == 0
    assert network.is_free(UI_PORT), "a component outlives the command"
