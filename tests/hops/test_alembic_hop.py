"""A rehearsal through its DAG: reset, a dump put in place, the upgrade, the history.

Its hop is 2023.1 → 2024.1, which alembic records, skips a release, and ends in a build of one's
own; the hop that `migrate_version` records is the rehearsal of tests/e2e, Pike → Queens. The dump
is the lab's own of the source release.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import docker
import pytest

from keystone_rollout.hooks.files.run_identity import folder_name
from lab.airflow.upgrade_run import UpgradeRun
from lab.cloud import database, nodes
from lab.data import content
from lab.hop import current
from tests.private_archive import repack

pytestmark = [pytest.mark.lab, pytest.mark.rehearsal]

ROOT = Path(__file__).resolve().parents[2]
RELEASED, PRIVATE = "25.0.0", "25.0.90"
SECONDS = 1500.0
STEPS = ["check_staging", "take_lock", "reset_staging", "load_dump", "release_lock"]
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
def folder(
    lab: docker.DockerClient, distribution: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Run keystone_rehearsal on the lab that `make lab FROM=2023.1 TO=25.0.90` starts.

    Return the folder of its runs, which are new ones: what earlier rehearsals kept stays.
    """
    environment = {"KEYSTONE_DIST": str(distribution)}
    done = subprocess.run(
        [sys.executable, "-m", "lab", "up", "--release", "2023.1", "--target", PRIVATE],
        cwd=ROOT,
        env={**os.environ, **environment, "PYTHONPATH": str(ROOT / "plugins")},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    runs = tmp_path_factory.mktemp("rehearsal") / "runs"
    runs.mkdir()
    source = current().source
    params = {"cloud": "lab", "source": source.version, "target": PRIVATE,
              "dump": str(content.dump_file(source))}  # fmt: skip
    environment["ROLLOUT_RUNS"] = str(runs)
    run = UpgradeRun(params, dag="keystone_rehearsal", environment=environment)
    run.start()
    assert run.wait(SECONDS) == 0, run.log_text()[-4000:]
    return runs


@pytest.fixture(scope="module")
def rehearsed(folder: Path) -> list[dict[str, Any]]:
    """Return the events of the rehearsal's own run."""
    (own,) = folder.glob("rehearsal__lab__*")
    return [json.loads(line) for line in (own / "events.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def record(folder: Path, rehearsed: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the report of the upgrade as data."""
    report = folder / folder_name(upgrade_of(rehearsed)) / "report.json"
    content: dict[str, Any] = json.loads(report.read_text())
    return content


def upgrade_of(rehearsed: list[dict[str, Any]]) -> str:
    (run_id,) = [event["upgrade"] for event in rehearsed if event["kind"] == "rehearsed"]
    return str(run_id)


def test_the_rehearsal_did_its_steps_in_order(rehearsed: list[dict[str, Any]]) -> None:
    steps = [event for event in rehearsed if event["kind"] == "step"]
    assert [event["step"] for event in steps if event["state"] == "finished"] == STEPS


def test_it_is_kept_in_the_history(folder: Path, rehearsed: list[dict[str, Any]]) -> None:
    history = folder.parent / "rehearsals" / "lab"
    (row,) = json.loads((history / "history.json").read_text())["rehearsals"]
    assert (row["upgrade"], row["state"]) == (upgrade_of(rehearsed), "succeeded")
    assert (row["source"], row["target"]) == ("23.0.2", PRIVATE)
    assert row["failures"] == 0
    assert row["requests"] >= 5000
    assert set(row["phases"]) == {"backup", "expand", "nodes", "contract"}
    kept = json.loads((history / row["report"]).with_name("report.json").read_text())
    assert kept["state"] == "succeeded"
    assert row["report"] in (history / "history.html").read_text()


def test_nothing_of_the_dump_is_left(folder: Path) -> None:
    left = database.execute("SHOW DATABASES LIKE 'keystone\\_rollout\\_%'")
    assert left == [], "neither the scratch schema nor the tables of before"
    assert not content.present(), "the lab knows that its data came from elsewhere"


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


def test_the_nodes_run_the_private_build(lab: docker.DockerClient, record: dict[str, Any]) -> None:
    for state in nodes.read_states(lab):
        assert state.installed == state.running == PRIVATE
        assert state.neighbour == "23.0.2", "only the required package may be updated"
    assert database.trust_function_creators() == 0
