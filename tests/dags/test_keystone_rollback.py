"""Check the wiring of the way back: nothing is touched after contract, nodes go one at a time."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from airflow.providers.ssh.operators.ssh import SSHOperator
from airflow.sdk import DAG

ROOT = Path(__file__).resolve().parents[2]
ORDER = [
    "plan",
    "check_way_back",
    "preflight",
    "take_lock",
    "recover_nodes",
    "load.start_load",
    "load.measure_baseline",
    "nodes.list_nodes",
    "nodes.rollback_node",
    "nodes.verify_nodes",
    "nodes.tell_left_behind",
    "load.judge_load",
    "load.stop_load",
    "load.check_acknowledged_writes",
    "release_lock",
    "write_report",
]


@pytest.fixture(scope="module")
def dag(dags: dict[str, DAG]) -> DAG:
    return dags["keystone_rollback"]


def test_the_way_back_has_this_order(dag: DAG) -> None:
    for earlier, later in itertools.pairwise(ORDER):
        assert later in dag.get_task(earlier).get_flat_relative_ids(upstream=False), (
            f"{later} does not come after {earlier}"
        )


def test_nodes_go_back_one_at_a_time(dag: DAG) -> None:
    nodes = dag.get_task("nodes.rollback_node")
    assert nodes.is_mapped
    assert nodes.max_active_tis_per_dagrun == 1
    assert issubclass(nodes.operator_class, SSHOperator)
    assert nodes.partial_kwargs["back"] is True
    assert nodes.partial_kwargs["siblings"] == ["nodes.rollback_node"]
    assert dag.get_task("nodes.verify_nodes").back


def test_no_phase_runs(dag: DAG) -> None:
    assert not [task.task_id for task in dag.tasks if hasattr(task, "phase")]


def test_the_run_is_green_only_if_every_step_succeeded(dag: DAG) -> None:
    leaf = dag.get_task("rollback_succeeded")
    assert leaf.downstream_task_ids == set()
    # A teardown hides the failures of those before it, so all of them count here; the report is a
    # leaf of its own.
    assert leaf.get_flat_relative_ids(upstream=True) == (
        {task.task_id for task in dag.tasks} - {leaf.task_id, "write_report"}
    )
    assert {task.task_id for task in dag.tasks if task.is_teardown} == {
        "load.stop_load", "return_nodes", "release_lock", "write_report",
    }  # fmt: skip
