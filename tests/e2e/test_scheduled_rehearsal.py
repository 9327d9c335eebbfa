"""One rehearsal of the lab through its DAG: reset, a dump put in place, the upgrade, the history.

The dump is the lab's own of the source release, so that one run shows all of it.
"""

from __future__ import annotations

import json
from pathlib import Path

import docker
import pytest

from lab.airflow.upgrade_run import UpgradeRun
from lab.cloud import database, nodes
from lab.data import content
from tests.lab_fixtures import lab_hop

pytestmark = [pytest.mark.lab, pytest.mark.rehearsal]

SECONDS = 1500.0
STEPS = ["check_staging", "take_lock", "reset_staging", "load_dump", "release_lock"]


def test_a_rehearsal_resets_upgrades_and_is_kept_in_the_history(
    lab: docker.DockerClient, tmp_path: Path
) -> None:
    hop = lab_hop()
    # What earlier runs kept stays: this history is a new one beside the test's own runs.
    params = {
        "cloud": "lab",
        "source": hop.source.version,
        "target": hop.target.version,
        "dump": str(content.dump_file(hop.source)),
    }
    runs = tmp_path / "runs"
    runs.mkdir()
    run = UpgradeRun(params, dag="keystone_rehearsal", environment={"ROLLOUT_RUNS": str(runs)})
    run.start()
    assert run.wait(SECONDS) == 0, run.log_text()[-4000:]

    (own,) = runs.glob("rehearsal__lab__*")
    events = [json.loads(line) for line in (own / "events.jsonl").read_text().splitlines()]
    finished = [e["step"] for e in events if e["kind"] == "step" and e["state"] == "finished"]
    assert finished == STEPS
    (upgrade,) = [event["upgrade"] for event in events if event["kind"] == "rehearsed"]

    folder = tmp_path / "rehearsals" / "lab"
    (row,) = json.loads((folder / "history.json").read_text())["rehearsals"]
    assert (row["upgrade"], row["state"]) == (upgrade, "succeeded")
    assert (row["source"], row["target"]) == (hop.source.version, hop.target.version)
    assert row["failures"] == 0
    assert row["requests"] >= 5000
    assert set(row["phases"]) == {"backup", "expand", "migrate", "nodes", "contract"}
    assert json.loads((folder / row["report"]).with_name("report.json").read_text())["state"] == (
        "succeeded"
    )
    assert row["report"] in (folder / "history.html").read_text()

    for state in nodes.read_states(lab):
        assert state.installed == state.running == hop.target.version
    left = database.execute("SHOW DATABASES LIKE 'keystone\\_rollout\\_re%'")
    assert left == [], "neither the scratch schema nor the tables of before"
    assert not content.present(), "the lab knows that its data came from elsewhere"
