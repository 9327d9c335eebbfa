"""Check the wiring of the upgrade: what follows what, and what runs whatever happens."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from airflow.providers.common.sql.sensors.sql import SqlSensor
from airflow.providers.docker.operators.docker import DockerOperator
from airflow.providers.ssh.operators.ssh import SSHOperator
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

ROOT = Path(__file__).resolve().parents[2]

ORDER = [
    "plan",
    "preflight",
    "take_lock",
    "recover_nodes",
    "backup_database",
    "load.start_load",
    "load.measure_baseline",
    "set_function_creators",
    "set_read_committed",
    "packages.list_nodes",
    "packages.stage_packages",
    "database.doctor",
    "database.token_flush",
    "database.expand",
    "database.wait_expand",
    "database.migrate",
    "database.wait_migrate",
    "nodes.upgrade_first_node",
    "nodes.list_other_nodes",
    "nodes.upgrade_node",
    "nodes.verify_nodes",
    "contraction.choose_approval",
    "contraction.approve_contract",
    "contraction.contract",
    "contraction.wait_contract",
    "load.judge_load",
    "load.stop_load",
    "load.check_acknowledged_writes",
    "release_lock",
    "write_report",
]


@pytest.fixture(scope="module")
def dag(dags: dict[str, DAG]) -> DAG:
    return dags["keystone_upgrade"]


def test_steps_follow_each_other_in_the_order_of_the_runbook(dag: DAG) -> None:
    for earlier, later in itertools.pairwise(ORDER):
        assert later in dag.get_task(earlier).get_flat_relative_ids(upstream=False), (
            f"{later} does not come after {earlier}"
        )


def test_the_load_is_watched_beside_the_upgrade(dag: DAG) -> None:
    watch = dag.get_task("load.watch_load")
    assert watch.reschedule
    beside = {"database.expand", "nodes.upgrade_node", "contraction.contract"}
    related = watch.get_flat_relative_ids(upstream=True) | watch.get_flat_relative_ids(
        upstream=False
    )
    assert not beside & related


@pytest.mark.parametrize(
    ("teardown", "setup"),
    [
        ("load.stop_load", "load.start_load"),
        ("restore_function_creators", "set_function_creators"),
        ("return_nodes", "take_lock"),
        ("release_lock", "take_lock"),
        ("restore_isolation", "set_read_committed"),
        ("write_report", None),
    ],
)
def test_what_was_set_up_is_torn_down_and_its_failure_is_red(
    dag: DAG, teardown: str, setup: str | None
) -> None:
    task = dag.get_task(teardown)
    assert task.is_teardown
    assert task.on_failure_fail_dagrun
    if setup:
        assert dag.get_task(setup).is_setup
        assert setup in task.upstream_task_ids


def test_nodes_are_brought_back_under_the_lock(dag: DAG) -> None:
    """Whoever stops a task in the middle of a node's cycle leaves that node out."""
    assert "return_nodes" in dag.get_task("release_lock").upstream_task_ids
    assert "nodes.upgrade_node" in dag.get_task("return_nodes").get_flat_relative_ids(upstream=True)


def test_no_task_can_turn_a_failed_run_green(dag: DAG) -> None:
    for task in dag.tasks:
        if not task.is_teardown:
            assert task.trigger_rule in ("all_success", "none_failed_min_one_success"), task.task_id


def test_the_run_is_green_only_if_every_step_succeeded(dag: DAG) -> None:
    leaf = dag.get_task("upgrade_succeeded")
    assert leaf.downstream_task_ids == set()
    assert leaf.trigger_rule == "all_success"
    # A teardown hides the failures of those before it, so all of them count here; the report is a
    # leaf of its own.
    assert leaf.get_flat_relative_ids(upstream=True) == (
        {task.task_id for task in dag.tasks} - {leaf.task_id, "write_report"}
    )


def test_phases_run_in_docker_nodes_over_ssh_and_sensors_ask_the_database(dag: DAG) -> None:
    for name in ("doctor", "token_flush", "expand", "migrate"):
        assert isinstance(dag.get_task(f"database.{name}"), DockerOperator)
    assert isinstance(dag.get_task("contraction.contract"), DockerOperator)
    assert isinstance(dag.get_task("nodes.upgrade_first_node"), SSHOperator)
    mapped = dag.get_task("nodes.upgrade_node")
    assert mapped.is_mapped
    assert mapped.max_active_tis_per_dagrun == 1
    assert issubclass(mapped.operator_class, SSHOperator)
    assert mapped.partial_kwargs["siblings"] == ["nodes.upgrade_first_node", "nodes.upgrade_node"]
    for name in ("database.wait_expand", "database.wait_migrate", "contraction.wait_contract"):
        sensor = dag.get_task(name)
        assert isinstance(sensor, SqlSensor)
        assert sensor.phase == name.rsplit("_", 1)[-1]
        assert sensor.reschedule
        assert sensor.poke_interval >= 10


def test_a_migration_is_not_stopped_with_its_task_and_everything_else_is(dag: DAG) -> None:
    interruptible = {
        task.task_id: task.interruptible for task in dag.tasks if hasattr(task, "interruptible")
    }
    assert interruptible == {
        "database.doctor": True,
        "database.token_flush": True,
        "database.expand": False,
        "database.migrate": False,
        "contraction.contract": False,
    }


def test_variables_are_held_from_before_the_phases_until_after_contract(dag: DAG) -> None:
    for setup, teardown in (
        ("set_function_creators", "restore_function_creators"),
        ("set_read_committed", "restore_isolation"),
    ):
        later = dag.get_task(setup).get_flat_relative_ids(upstream=False)
        assert {"database.expand", "contraction.wait_contract", teardown} <= later
        assert "contraction.wait_contract" in dag.get_task(teardown).upstream_task_ids


def test_one_run_at_a_time_and_no_schedule(dag: DAG) -> None:
    assert dag.max_active_runs == 1
    assert dag.schedule is None
    assert dag.catchup is False


def test_an_unanswered_or_rejected_approval_ends_the_run(dag: DAG) -> None:
    approval = dag.get_task("contraction.approve_contract")
    assert approval.defaults == ["Reject"]
    assert approval.fail_on_reject


@pytest.mark.parametrize("name", ["keystone_upgrade", "keystone_rollback", "keystone_restore"])
def test_airflow_can_put_the_dag_in_order_to_show_it(dags: dict[str, DAG], name: str) -> None:
    """A circle of task groups runs all the same; grid and graph are an error 500 then."""
    seen = DagSerialization.from_dict(DagSerialization.to_dict(dags[name]))
    shown = {node.node_id for node in seen.task_group.topological_sort()}
    assert shown == set(seen.task_group.children)


@pytest.mark.parametrize(
    "name", ["keystone_upgrade", "keystone_rollback", "keystone_restore", "keystone_plan"]
)
def test_the_form_takes_its_empty_texts(dags: dict[str, DAG], name: str) -> None:
    """Airflow's form takes an empty text for a missing one, unless null is allowed."""
    params = dags[name].params
    assert "cloud" in params
    for key in params:
        if params[key] == "":
            assert params.get_param(key).schema["type"] == ["null", "string"], key
