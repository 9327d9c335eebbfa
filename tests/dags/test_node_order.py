"""Nodes go in the order of the cloud file, whatever Airflow starts first.

The tasks of the two DAGs run as `airflow dags test` runs them. What a cycle does to its node is
played, and the order in which Airflow takes tasks that are ready: it takes them from a set.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance, clear_task_instances
from airflow.sdk import DAG
from airflow.serialization.definitions.dag import SerializedDAG
from airflow.serialization.serialized_objects import DagSerialization, OperatorSerialization
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState

import operators.nodes
from keystone_rollout.domain.node.cycle import CycleFailed
from tests.dags.rehearsal_stage import write_cloud

NODES = [f"keystone-{number}" for number in (1, 2, 3, 4)]
UPGRADE = {"nodes.upgrade_first_node", "nodes.list_other_nodes", "nodes.upgrade_node"}
ROLLBACK = {"nodes.list_nodes", "nodes.rollback_node"}
ORDERS = [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1), (1, 3, 0, 2)]


class Stage:
    """A cloud of four nodes whose cycles are played; ``broken`` ones fail."""

    def __init__(self, dags: dict[str, DAG], patch: pytest.MonkeyPatch) -> None:
        self.dags = dags
        self.patch = patch
        self.began: list[str] = []
        self.broken: set[str] = set()

    def cycle(self, _run: object, node: Any, _ssh: object, *, back: bool) -> SimpleNamespace:
        """Stand in for operators.nodes.node_cycle."""
        release = "old" if back else "new"
        return SimpleNamespace(run=lambda: self._run(node.name), target=release)

    def _run(self, name: str) -> bool:
        self.began.append(name)
        if name in self.broken:
            raise CycleFailed(f"{name} is back, nothing was changed")
        return True

    def start_in(self, order: tuple[int, ...]) -> None:
        """Let Airflow's set of tasks give them in this order of their indices."""
        places = {-1: len(order), **{index: place for place, index in enumerate(order)}}

        def place(instance: TaskInstance) -> int:
            return places[instance.map_index]

        self.patch.setattr(TaskInstance, "__hash__", place)

    def run(self, dag_id: str, tasks: set[str]) -> dict[str, str]:
        """Run these tasks; return the state of each node's task by the label that is shown."""
        subset = self.dags[dag_id].partial_subset(tasks, include_upstream=False)
        others = f"(?!({'|'.join(tasks)})$).*"  # the teardowns that come with them
        self.last = subset.test(mark_success_pattern=others)
        return {
            instance.rendered_map_index: str(instance.state)
            for instance in self.instances()
            if instance.map_index >= 0
        }

    def instances(self) -> list[TaskInstance]:
        """Return the tasks of the last run, as the database has them."""
        with create_session() as session:
            run = session.get(DagRun, self.last.id)
            assert run is not None
            return list(run.get_task_instances(session=session))

    def clear(self, chosen: Callable[[TaskInstance], bool]) -> None:
        """Clear tasks of the last run, which the next `run` goes on with."""
        cleared = [each for each in self.instances() if chosen(each)]
        assert cleared
        with create_session() as session:
            clear_task_instances([session.merge(each) for each in cleared], session)
        self.patch.setattr("airflow.models.dagrun.get_or_create_dagrun", self._same_run)
        self.patch.setattr(SerializedDAG, "clear_dags", lambda **_: None)

    def _same_run(self, *, dag: SerializedDAG, session: Any, **_: object) -> DagRun:
        run: DagRun = session.get(DagRun, self.last.id)
        run.dag, run.state = dag, DagRunState.RUNNING  # as a scheduler does with a queued one
        return run


@pytest.fixture
def stage(dags: dict[str, DAG], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    write_cloud(
        tmp_path,
        nodes=[
            {"name": name, "ssh": f"lab_{name}", "server": name, "url": f"http://{name}:5000/v3"}
            for name in NODES
        ],
    )
    # Airflow's API, which runs in this process then, turns links off and leaves them so.
    for kind in (DagSerialization, OperatorSerialization):
        monkeypatch.setattr(kind, "_load_operator_extra_links", True)
    monkeypatch.setenv("ROLLOUT_CLOUDS", str(tmp_path))
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path / "runs"))
    for name in NODES:
        monkeypatch.setenv(f"AIRFLOW_CONN_LAB_{name.upper()}", "ssh://nobody@127.0.0.1")
    played = Stage(dags, monkeypatch)
    monkeypatch.setattr(operators.nodes, "node_cycle", played.cycle)
    monkeypatch.setattr(operators.nodes, "proceed", lambda run, gate: None)
    return played


@pytest.mark.parametrize("order", ORDERS)
def test_a_rollback_takes_the_newest_node_first_whatever_is_started_first(
    stage: Stage, order: tuple[int, ...]
) -> None:
    stage.start_in(order)
    states = stage.run("keystone_rollback", ROLLBACK)
    assert stage.began == NODES[::-1]
    assert states == dict.fromkeys(NODES, "success")
    tries = {each.try_number for each in stage.instances() if each.map_index >= 0}
    assert tries == {1}, "waiting is no attempt"


@pytest.mark.parametrize("order", ORDERS)
def test_an_upgrade_takes_nodes_in_the_order_of_the_cloud_file(
    stage: Stage, order: tuple[int, ...]
) -> None:
    stage.start_in(order)
    states = stage.run("keystone_upgrade", UPGRADE)
    assert stage.began == NODES
    assert states == dict.fromkeys(NODES[1:], "success")


@pytest.mark.parametrize("order", ORDERS[1:])
def test_no_node_begins_after_one_that_failed_and_cleared_ones_keep_the_order(
    stage: Stage, order: tuple[int, ...]
) -> None:
    stage.start_in(order)
    stage.broken = {"keystone-2"}
    assert set(stage.run("keystone_upgrade", UPGRADE).values()) == {"failed"}
    assert stage.began == NODES[:2]

    stage.broken, stage.began = set(), []
    stage.clear(lambda task: str(task.state) in ("failed", "upstream_failed"))
    assert set(stage.run("keystone_upgrade", UPGRADE).values()) == {"success"}
    assert stage.began == NODES[1:]


def test_the_failed_nodes_task_can_be_cleared_before_those_that_were_refused(
    stage: Stage,
) -> None:
    """As the page of the DAG says: clear this task, then those after it."""
    stage.start_in(ORDERS[1])
    stage.broken = {"keystone-2"}
    stage.run("keystone_upgrade", UPGRADE)

    stage.broken, stage.began = set(), []
    stage.clear(lambda task: task.map_index == 0)
    assert stage.run("keystone_upgrade", UPGRADE) == {
        "keystone-2": "success", "keystone-3": "failed", "keystone-4": "failed",
    }  # fmt: skip
    stage.clear(lambda task: task.map_index > 0)
    assert set(stage.run("keystone_upgrade", UPGRADE).values()) == {"success"}
    assert stage.began == NODES[1:]
