"""Check the rehearsal: its wiring, what it refuses, and what its steps do when something fails."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException, AirflowFailException, DagRunTriggerException

from keystone_rollout.domain.load.samples import Sample
from keystone_rollout.domain.run.events import BaselineMeasured, Judged, Noted, Rehearsed
from keystone_rollout.domain.run.record import build_record
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.web.links import HistoryLink
from operators.rehearsal.reset_staging import (
    CheckStagingOperator,
    LoadDumpOperator,
    ResetStagingOperator,
)
from tests.dags.rehearsal_stage import (
    LAB,
    RUN_ID,
    TriggerHere,
    context,
    rollout_run,
    write_cloud,
)

ROOT = Path(__file__).resolve().parents[2]
STEPS = ["check_staging", "take_lock", "reset_staging", "load_dump", "run_upgrade"]
TEARDOWNS = ["release_lock", "keep_report"]
RUNNING, UPGRADED = "12.0.3 100 200", "13.0.4 100 200"


@pytest.fixture(scope="module")
def dag(dags: dict[str, DAG]) -> DAG:
    return dags["keystone_rehearsal"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a test cloud files and runs of its own."""
    (tmp_path / "clouds").mkdir()
    monkeypatch.setenv("ROLLOUT_CLOUDS", str(tmp_path / "clouds"))
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path / "runs"))
    return tmp_path


def rehearse(*reset: str, **changes: object) -> dict[str, object]:
    return {"schedule": "0 2 * * *", "reset": list(reset) or ["true"], **changes}


# The wiring


def test_steps_follow_each_other_and_the_lock_is_given_back_before_the_upgrade(dag: DAG) -> None:
    order = ["check_staging", "take_lock", "reset_staging", "load_dump", "release_lock"]
    for earlier, later in itertools.pairwise([*order, "run_upgrade", "rehearsal_succeeded"]):
        assert later in dag.get_task(earlier).downstream_task_ids, f"{later} after {earlier}"


def test_a_failed_reset_is_followed_by_no_upgrade(dag: DAG) -> None:
    """release_lock goes well after it, so the upgrade has to hang on the step itself, too."""
    upgrade = dag.get_task("run_upgrade")
    assert {"load_dump", "release_lock"} <= upgrade.upstream_task_ids
    assert upgrade.trigger_rule == "all_success"


def test_what_ends_a_rehearsal_runs_always_and_its_failure_is_red(dag: DAG) -> None:
    for name in TEARDOWNS:
        assert dag.get_task(name).is_teardown
        assert dag.get_task(name).on_failure_fail_dagrun
    assert dag.get_task("take_lock").is_setup
    leaf = dag.get_task("rehearsal_succeeded")
    assert leaf.downstream_task_ids == set()
    assert set(STEPS) <= leaf.get_flat_relative_ids(upstream=True)
    assert {task.retries for task in dag.tasks} == {0}


def test_it_is_one_toggle_and_never_two_at_once(dag: DAG) -> None:
    assert dag.is_paused_upon_creation is True
    assert dag.catchup is False
    assert dag.max_active_runs == 1
    assert dag.schedule == "0 2 * * *"
    assert dag.params.get_param("cloud").schema["enum"] == ["lab"], "no other one can be named"


@pytest.mark.parametrize("name", ["upgrade", "plan", "rollback", "restore"])
def test_what_is_triggered_is_on_and_has_no_schedule(dags: dict[str, DAG], name: str) -> None:
    assert dags[f"keystone_{name}"].is_paused_upon_creation is False
    assert dags[f"keystone_{name}"].schedule is None


def test_airflow_schedules_the_next_night_and_no_earlier_one(dag: DAG) -> None:
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.timetables.base import TimeRestriction

    core = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    start = datetime(2026, 1, 1, tzinfo=UTC)
    info = core.timetable.next_dagrun_info(
        last_automated_data_interval=None, restriction=TimeRestriction(start, None, catchup=False)
    )
    assert info is not None
    assert (info.run_after.hour, info.run_after.minute) == (2, 0)
    assert abs((info.run_after - datetime.now(UTC)).days) <= 1


def test_the_page_answers_for_every_task_whether_it_is_safe_to_stop(dag: DAG) -> None:
    assert dag.doc_md is not None
    happens, red = dag.doc_md.split("## If red")
    for name in [*STEPS, *TEARDOWNS, "rehearsal_succeeded"]:
        assert f"| {name} |" in happens, name
    for name in [*STEPS, *TEARDOWNS]:
        assert f"| {name} |" in red, name
    for heading in ("Before you start", "What happens now"):
        assert f"## {heading}" in happens


def test_one_wrong_cloud_file_leaves_the_other_dags_alone(place: Path) -> None:
    from airflow.dag_processing.dagbag import DagBag

    clouds = place / "clouds"
    write_cloud(clouds, rehearsal=rehearse())
    good = (clouds / "lab.yaml").read_text()
    (clouds / "bad.yaml").write_text(good.replace("0 2 * * *", "0 25 * * *"))
    (clouds / "pre.yaml").write_text(good.replace("0 2 * * *", "30 4 * * *"))
    bag = DagBag(ROOT / "dags" / "keystone_rehearsal.py", bundle_name="test")
    assert bag.import_errors == {}
    found = {name: made.schedule for name, made in bag.dags.items()}
    assert found == {
        "keystone_rehearsal": "0 2 * * *",
        "keystone_rehearsal_bad": None,
        "keystone_rehearsal_pre": "30 4 * * *",
    }
    page = bag.dags["keystone_rehearsal_bad"].doc_md
    assert page is not None
    assert page.startswith("**No schedule")
    assert "rehearsal.schedule: read '0 25 * * *': not a cron expression" in page
    assert bag.dags["keystone_rehearsal_pre"].params["cloud"] == "pre"


# What it refuses


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"staging": None, "rehearsal": None}, "measured not marked as staging, and it has no"),
        ({"staging": False}, "a rehearsal resets its cloud, and this one is not marked as staging"),
        ({"rehearsal": None}, "measured staging, and it has no section rehearsal"),
    ],
)
def test_a_cloud_that_is_not_staging_is_never_reset(
    place: Path, changes: dict[str, object], words: str
) -> None:
    write_cloud(place / "clouds", **changes)
    with pytest.raises(Exception, match=words):
        CheckStagingOperator(task_id="check_staging").execute(context())


def test_each_step_asks_by_itself_whether_the_cloud_is_staging(place: Path) -> None:
    """A task may be cleared on its own, days after the first one was green."""
    marker = place / "reset"
    write_cloud(place / "clouds", staging=None, rehearsal=None)
    run, lock = rollout_run()
    for operator in (ResetStagingOperator(task_id="reset"), LoadDumpOperator(task_id="load")):
        with pytest.raises(AirflowFailException, match="not marked as staging"):
            operator.run_step(run, context())
    with pytest.raises(AirflowFailException, match="not marked as staging"):
        TriggerHere(task_id="run_upgrade").execute(context())
    assert not marker.exists()
    assert lock.taken == 0


def test_a_dump_that_is_not_whole_stops_it_before_anything_is_touched(place: Path) -> None:
    write_cloud(place / "clouds", rehearsal=rehearse(dump_directory=str(place)))
    torn = place / "torn.sql"
    torn.write_text("-- MariaDB dump 10\n-- Host: x    Database: keystone\n")
    with pytest.raises(AirflowFailException, match=r"dump of production .*torn\.sql"):
        CheckStagingOperator(task_id="check_staging").execute(context(dump=str(torn)))


def test_a_run_cannot_have_any_file_of_this_machine_read(place: Path) -> None:
    (place / "dumps").mkdir()
    write_cloud(place / "clouds", rehearsal=rehearse(dump_directory=str(place / "dumps")))
    secret = place / "fernet-key"
    secret.write_text("s3cret")
    with pytest.raises(AirflowFailException) as caught:
        CheckStagingOperator(task_id="check_staging").execute(context(dump=str(secret)))
    assert f"FAILED dump of production ({secret}): measured outside" in str(caught.value)
    written = "".join(path.read_text() for path in (place / "runs").rglob("*") if path.is_file())
    assert str(secret) in written
    assert "s3cret" not in str(caught.value) + written


def test_a_staging_cloud_passes_the_check(place: Path) -> None:
    write_cloud(place / "clouds")
    CheckStagingOperator(task_id="check_staging").execute(context())
    gates = RunDirectory(f"rehearsal__lab__{RUN_ID}").events(Judged)
    assert [verdict.ok for gate in gates for verdict in gate.verdicts] == [True]


# The reset


def test_the_command_runs_and_the_nodes_are_asked(place: Path) -> None:
    marker = place / "reset"
    write_cloud(place / "clouds", rehearsal=rehearse("touch", str(marker)))
    run, lock = rollout_run(*[RUNNING] * 3)
    ResetStagingOperator(task_id="reset_staging").run_step(run, context())
    assert marker.exists()
    assert lock.held_by == lock.run_id, "for the next step, or the teardown"


def test_nodes_that_were_not_reset_are_named_whatever_the_command_says(place: Path) -> None:
    write_cloud(place / "clouds", rehearsal=rehearse())
    run, lock = rollout_run(RUNNING, UPGRADED, "12.0.3 100 stopped")
    with pytest.raises(AirflowFailException) as caught:
        ResetStagingOperator(task_id="reset_staging").run_step(run, context())
    assert "2 of 3 checks failed" in str(caught.value)
    assert "FAILED reset (keystone-2): measured 13.0.4 running, limit 12.0.3 running" in str(
        caught.value
    )
    assert lock.held_by == "", "clearing runs no teardown, so it is given back here"


def test_a_command_that_fails_starts_no_upgrade(place: Path) -> None:
    write_cloud(place / "clouds", rehearsal=rehearse("sh", "-c", "echo no disk; exit 4"))
    run, lock = rollout_run()
    with pytest.raises(AirflowFailException) as caught:
        ResetStagingOperator(task_id="reset_staging").run_step(run, context())
    assert "lab was not reset: sh ended with exit status 4, allowed is 0" in str(caught.value)
    assert "It printed last: no disk. No upgrade is started" in str(caught.value)
    assert lock.held_by == ""


def test_a_running_upgrade_keeps_its_cloud(place: Path) -> None:
    marker = place / "reset"
    write_cloud(place / "clouds", rehearsal=rehearse("touch", str(marker)))
    run, lock = rollout_run(holder="manual__upgrade")
    with pytest.raises(AirflowFailException, match="held by run manual__upgrade"):
        ResetStagingOperator(task_id="reset_staging").run_step(run, context())
    assert not marker.exists()
    assert lock.held_by == "manual__upgrade"


def test_without_a_dump_the_data_stay_as_the_reset_left_them(place: Path) -> None:
    write_cloud(place / "clouds")
    run, lock = rollout_run()
    assert LoadDumpOperator(task_id="load_dump").run_step(run, context()) == ""
    assert lock.taken == 0


def test_a_dump_is_only_loaded_into_a_cloud_at_the_source_release(place: Path) -> None:
    write_cloud(place / "clouds", rehearsal=rehearse(dump=str(place / "p.sql")))
    run, lock = rollout_run(RUNNING, RUNNING, UPGRADED)
    with pytest.raises(AirflowFailException) as caught:
        LoadDumpOperator(task_id="load_dump").run_step(run, context())
    assert "FAILED reset (keystone-3)" in str(caught.value)
    assert "FAILED dump of production" in str(caught.value)
    assert lock.held_by == ""


# The upgrade


def test_with_a_scheduler_the_upgrade_is_triggered_and_waited_for(place: Path) -> None:
    write_cloud(place / "clouds")
    with pytest.raises(DagRunTriggerException) as caught:
        TriggerHere(task_id="run_upgrade").execute(context(target="13.0.4"))
    asked = caught.value
    assert asked.trigger_dag_id == "keystone_upgrade"
    assert asked.conf == {"cloud": "lab", "source": "", "target": "13.0.4", "auto_approve": True}
    assert asked.wait_for_completion
    assert asked.deferrable
    assert asked.dag_run_id == f"rehearsal__lab__{RUN_ID}__2", "each try is a run of its own"
    kept = RunDirectory(f"rehearsal__lab__{RUN_ID}").last(Rehearsed)
    assert kept is not None
    assert kept.upgrade == asked.dag_run_id


def test_an_upgrade_that_is_switched_off_is_not_waited_for(place: Path) -> None:
    write_cloud(place / "clouds")
    given = context()
    given["ti"].get_dag = lambda dag_id: type("Off", (), {"is_paused": True})
    with pytest.raises(AirflowFailException, match=r"DAG keystone_upgrade is paused: .*Next: swit"):
        TriggerHere(task_id="run_upgrade").execute(given)


def test_a_red_upgrade_is_a_red_rehearsal() -> None:
    run_id = "rehearsal__lab__x__1"
    event = ("path", {"run_ids": [run_id], run_id: "failed"})
    with pytest.raises(AirflowException, match="keystone_upgrade failed"):
        TriggerHere(task_id="run_upgrade").execute_complete(context(), event)
    green = ("path", {"run_ids": [run_id], run_id: "success"})
    TriggerHere(task_id="run_upgrade").execute_complete(context(), green)


# All of it


def test_a_rehearsal_that_is_refused_is_a_row_of_the_history(dag: DAG, place: Path) -> None:
    write_cloud(place / "clouds", staging=None, rehearsal=None)
    run = dag.test(run_conf={})
    assert run.state == "failed"
    states = {task.task_id: task.state for task in run.get_task_instances()}
    assert states["check_staging"] == "failed"
    assert {states[name] for name in [*STEPS[1:], "release_lock"]} == {"upstream_failed"}
    assert states["keep_report"] == "success"
    folder = place / "rehearsals" / "lab"
    (row,) = json.loads((folder / "history.json").read_text())["rehearsals"]
    assert row["problem"].startswith("no upgrade was started; red: check_staging")
    assert "No data" in (folder / "history.html").read_text()
    (kept,) = [task for task in run.get_task_instances() if task.task_id == "keep_report"]
    assert kept.xcom_pull(task_ids="keep_report", key=HistoryLink().xcom_key) == (
        "/rollout/history/lab/history.html"
    )


def record() -> dict[str, Any]:
    """Return the report of an upgrade that made five requests."""
    sample = Sample(
        t=1, requests=5, failures=0, users=1, last_success=1.5, longest_gap=0.1, ms={10.0: 5},
        by_name={"issue_token": (5, 0)},
    )  # fmt: skip
    baseline = BaselineMeasured(t=1.0, session=1, start=0.0, end=1.0, p99=10.0)
    events = [baseline, Noted(t=9.0, text="x")]
    return build_record("played", events, [sample], "succeeded").to_dict()


STUB_DAGS = """
import json, os, sys
from pathlib import Path
from airflow.sdk import DAG, task
from airflow.sdk import Param
sys.path.insert(0, {tests!r})
from tests.dags.rehearsal_stage import TriggerHere
from operators.rehearsal.keep import KeepRehearsalOperator

with DAG("keystone_upgrade", schedule=None, params={{"auto_approve": False, "fail": "no",
         "cloud": "?", "source": "?", "target": "?"}}):
    @task
    def report(run_id=None, params=None):
        from keystone_rollout.hooks.files.run_directory import RunDirectory
        directory = RunDirectory(run_id)
        record = json.loads(Path({record!r}).read_text())
        directory.write_json("report.json", {{**record, "run_id": run_id, "asked": dict(params)}})
        assert os.environ["UPGRADE"] == "green", "the upgrade is red"
    report()

names = {{name: "" for name in ("source", "target", "dump", "break_lock")}}
with DAG("stub_rehearsal", schedule=None, params={{"cloud": "lab", **names}}):
    keep = KeepRehearsalOperator(task_id="keep_report").as_teardown()
    TriggerHere(task_id="run_upgrade") >> keep
"""


@pytest.mark.parametrize("outcome", ["green", "red"])
def test_without_a_scheduler_the_upgrade_runs_in_a_process_of_its_own(
    initialised_airflow: Path, place: Path, outcome: str
) -> None:
    """As `airflow dags test keystone_rehearsal` on a laptop, the upgrade itself being played."""
    write_cloud(place / "clouds")
    (place / "record.json").write_text(json.dumps(record()))
    (place / "dags").mkdir()
    (place / "dags" / "stub.py").write_text(
        STUB_DAGS.format(tests=str(Path(__file__).parent), record=str(place / "record.json"))
    )
    result = subprocess.run(
        [sys.executable, "-m", "airflow", "dags", "test", "stub_rehearsal"],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
        env={
            **os.environ,
            "AIRFLOW__CORE__DAGS_FOLDER": str(place / "dags"),
            "PYTHONPATH": str(ROOT / "plugins"),
            "UPGRADE": outcome,
        },
    )
    said = result.stdout + result.stderr
    assert (result.returncode == 0) == (outcome == "green"), said[-3000:]
    (row,) = json.loads((place / "rehearsals" / "lab" / "history.json").read_text())["rehearsals"]
    assert row["upgrade"].startswith("manual__")
    assert row["requests"] > 0, row
    (asked,) = [
        json.loads(p.read_text())["asked"] for p in place.glob("runs/manual__*/report.json")
    ]
    assert asked["auto_approve"] is True
    assert asked["cloud"] == "lab"


def test_the_labs_file_rehearses_the_lab_itself() -> None:
    text = LAB.read_text(encoding="utf-8")
    assert 'reset: ["{{ python }}", -m, lab, reset]' in text
