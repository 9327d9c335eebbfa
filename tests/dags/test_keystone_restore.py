"""Check the wiring of the restore: nothing moves before it is confirmed, and what runs always."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from airflow.sdk import DAG

ROOT = Path(__file__).resolve().parents[2]

STEPS = [
    "take_lock",
    "plan_restore",
    "confirm_restore",
    "stop_keystone",
    "swap_schemas",
    "restore_nodes",
    "verify_restore",
]
TEARDOWNS = ["settle_servers", "drop_scratch_schema", "release_lock", "write_report"]


@pytest.fixture(scope="module")
def dag(dags: dict[str, DAG]) -> DAG:
    return dags["keystone_restore"]


def test_steps_follow_each_other_one_by_one(dag: DAG) -> None:
    for earlier, later in itertools.pairwise([*STEPS, *TEARDOWNS]):
        assert later in dag.get_task(earlier).downstream_task_ids, f"{later} after {earlier}"


def test_nothing_stops_or_moves_before_it_is_planned_and_confirmed(dag: DAG) -> None:
    for name in STEPS[3:]:
        before = dag.get_task(name).get_flat_relative_ids(upstream=True)
        assert {"plan_restore", "confirm_restore"} <= before
        assert dag.get_task(name).trigger_rule == "all_success"


@pytest.mark.parametrize("name", TEARDOWNS)
def test_teardowns_run_whatever_happens_and_their_failure_is_red(dag: DAG, name: str) -> None:
    task = dag.get_task(name)
    assert task.is_teardown
    assert task.on_failure_fail_dagrun


def test_the_run_is_green_only_if_every_step_succeeded(dag: DAG) -> None:
    leaf = dag.get_task("restore_succeeded")
    assert leaf.downstream_task_ids == set()
    assert leaf.trigger_rule == "all_success"
    assert leaf.get_flat_relative_ids(upstream=True) == {*STEPS, *TEARDOWNS} - {"write_report"}


def test_no_step_is_tried_twice_by_itself(dag: DAG) -> None:
    assert {task.retries for task in dag.tasks} == {0}


def test_one_run_at_a_time_by_hand_only_and_never_confirmed_by_default(dag: DAG) -> None:
    assert dag.max_active_runs == 1
    assert dag.schedule is None
    assert dag.params["confirm"] == ""
    assert dag.params["backup"] == ""
    assert dag.params["break_lock"] == ""


def test_the_page_answers_for_every_task_whether_it_is_safe_to_stop(dag: DAG) -> None:
    assert dag.doc_md is not None
    happens, red = dag.doc_md.split("## If red")
    for name in [*STEPS, *TEARDOWNS]:
        assert f"| {name} |" in happens, name
    for name in [*STEPS, "settle_servers"]:
        assert f"| {name} |" in red, name
    for heading in ("Before you start", "What happens now", "Point of no return"):
        assert f"## {heading}" in happens


def test_a_run_that_fails_at_once_still_settles_and_reports(
    dag: DAG, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path))
    monkeypatch.setenv("ROLLOUT_CLOUDS", str(tmp_path))
    run = dag.test(run_conf={"cloud": "lab"})
    assert run.state == "failed"
    states = {task.task_id: task.state for task in run.get_task_instances()}
    assert states["take_lock"] == "failed"
    assert {states[name] for name in STEPS[1:]} == {"upstream_failed"}
    assert states["release_lock"] == "upstream_failed", "it was never taken"
    assert {states[name] for name in TEARDOWNS if name != "release_lock"} == {"success"}
    (report,) = tmp_path.glob("*/report.json")
    assert json.loads(report.read_text())["failed_tasks"] == ["take_lock"]
    page = report.with_name("report.html").read_text()
    assert "Keystone restore" in page
    assert "It ended before there was a plan: nothing was touched." in page
