"""A hop that alembic records, skips a release, and ends in a build of one's own: 2023.1 → 2024.1.

The hop that `migrate_version` records is the rehearsal of tests/e2e, Pike → Queens.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import docker
import pytest

from lab.cloud import database, nodes
from tests.private_archive import repack

pytestmark = [pytest.mark.lab, pytest.mark.rehearsal]

ROOT = Path(__file__).resolve().parents[2]
RELEASED, PRIVATE = "25.0.0", "25.0.90"
HEADS = ["47147121", "c88cdce8f248"]


@pytest.fixture(scope="module")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with a private build of 2024.1: PyPI's source under a version of its own."""
    folder = tmp_path_factory.mktemp("released")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--no-binary", ":all:", "--dest", str(folder), f"keystone=={RELEASED}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (archive,) = folder.iterdir()
    return repack(archive, PRIVATE, tmp_path_factory.mktemp("private")).parent


@pytest.fixture(scope="module")
def output(lab: docker.DockerClient, distribution: Path) -> str:
    """Run `make rehearsal FROM=2023.1 TO=25.0.90 KEYSTONE_DIST=...`; return what it printed."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "plugins"),
        "KEYSTONE_DIST": str(distribution),
    }
    done = subprocess.run(
        [sys.executable, "-m", "lab", "rehearsal", "--release", "2023.1", "--target", PRIVATE],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def record(output: str) -> dict[str, Any]:
    """Return the run's report as data."""
    page = re.search(r"report: (\S+\.html)", output)
    assert page
    content: dict[str, Any] = json.loads(Path(page[1]).with_suffix(".json").read_text())
    return content


def test_no_request_failed(output: str) -> None:
    passed = re.search(r"rehearsal passed: 0 failed of (\d+) requests", output)
    assert passed
    assert int(passed[1]) >= 5000


def test_both_branches_stand_at_their_heads(record: dict[str, Any]) -> None:
    rows = database.execute("SELECT version_num FROM keystone.alembic_version ORDER BY 1")
    assert [row[0] for row in rows] == HEADS
    plan = record["plan"]
    assert plan["heads"] == {"expand": HEADS[0], "migrate": "", "contract": HEADS[1]}
    assert plan["state"] == {"expand": "29e87d24a316", "migrate": "", "contract": "e25ffa003242"}


def test_a_phase_that_does_nothing_is_not_run_and_said_so(record: dict[str, Any]) -> None:
    steps = {step["name"] for step in record["steps"]}
    assert {"expand", "contract"} <= steps
    assert "migrate" not in steps
    said = {phase["phase"]: phase["does"] for phase in record["plan"]["phases"]}
    assert said == {
        "expand": "runs",
        "migrate": "nothing in this release",
        "contract": "runs",
    }


def test_the_nodes_run_the_private_build(lab: docker.DockerClient) -> None:
    for state in nodes.read_states(lab):
        assert state.installed == state.running == PRIVATE
        assert state.neighbour == "23.0.2", "only the required package may be updated"
    assert database.trust_function_creators() == 0
