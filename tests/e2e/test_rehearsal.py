"""The whole promise, end to end: the command of the README on the real lab."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import docker
import pytest

from lab.airflow.upgrade_run import UpgradeRun
from lab.cloud import database, nodes
from tests.scenarios.scenario_cloud import scenario_cloud, write_cloud

pytestmark = [pytest.mark.lab, pytest.mark.rehearsal]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def rehearsal(lab: docker.DockerClient) -> subprocess.CompletedProcess[str]:
    """Run `make rehearsal`'s command once; it puts the lab back to its source release first."""
    return subprocess.run(
        [sys.executable, "-m", "lab", "rehearsal"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "plugins")},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )


def test_rehearsal_upgrades_the_lab_without_a_failed_request(
    lab: docker.DockerClient, rehearsal: subprocess.CompletedProcess[str]
) -> None:
    result = rehearsal
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    passed = re.search(r"rehearsal passed: 0 failed of (\d+) requests", result.stdout)
    assert passed, result.stdout[-2000:]
    assert int(passed[1]) >= 5000
    versions = database.schema_versions()
    assert {
        name: versions[f"keystone_{name}"] for name in ("expand", "data_migrate", "contract")
    } == {"expand": "44", "data_migrate": "44", "contract": "44"}
    assert database.trust_function_creators() == 0
    for state in nodes.read_states(lab):
        assert state.installed == state.running == "13.0.4"
        assert state.neighbour == "12.0.3", "only the required package may be updated"
    log = re.search(r"its log: (\S+)", result.stdout)
    assert log
    keystone_log = Path(log[1]).read_text(errors="replace")
    assert len(re.findall(r"43 -> 44\.\.\.", keystone_log)) == 3, "one for each phase"
    report = re.search(r"report: (\S+\.html)", result.stdout)
    assert report
    assert Path(report[1]).stat().st_size > 10_000


def test_an_upgraded_lab_is_recognised_and_left_alone(
    rehearsal: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    """A second run looks at the truth: no phase and no node is touched again."""
    # Its load proves nothing that the first run's has not: it may be short.
    clouds = write_cloud(scenario_cloud(), tmp_path)
    run = UpgradeRun({"cloud": "lab", "auto_approve": True}, clouds)
    run.start()
    assert run.wait(600) == 0, run.log
    steps = {event["step"] for event in run.events() if event["kind"] == "step"}
    assert not {"expand", "migrate", "contract"} & steps
    states = {(event["node"], event["state"]) for event in run.events() if event["kind"] == "node"}
    assert {state for _, state in states} == {"found", "done"}
