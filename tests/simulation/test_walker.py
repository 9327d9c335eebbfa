"""The walker brings the same tasks to the same states as `dag.test()`, whichever task fails."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import airflow.sdk.definitions.dag as sdk_dag
import pytest
from airflow.dag_processing import dagbag
from airflow.models.dagrun import DagRun
from airflow.sdk import DAG
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState

from operators.plan_upgrade import ListNodesOperator
from tests.simulation.walker import Key, Outcome, State, Walk

LISTS = ListNodesOperator
NODES = ["keystone-2", "keystone-3"]
BRANCH = "contraction.choose_approval"
FOLLOWED = "contraction.auto_approved"
DAGS = ["keystone_plan", "keystone_upgrade", "keystone_rollback", "keystone_restore",
        "keystone_rehearsal"]  # fmt: skip


def played(dag: DAG, failing: str) -> Callable[[Key], Outcome]:
    """Return an attempt in which one task fails and all others succeed."""

    def attempt(key: Key) -> Outcome:
        if key.task_id == failing:
            return Outcome(State.FAILED)
        value = NODES if isinstance(dag.task_dict[key.task_id], LISTS) else None
        followed = frozenset({FOLLOWED}) if key.task_id == BRANCH else None
        return Outcome(State.SUCCESS, value, followed)

    return attempt


def walked(dag: DAG, failing: str) -> tuple[dict[Key, str], str]:
    """Return each instance's state and the run's, by the walker, in an order of its own."""
    order = random.Random(failing)
    walk = Walk(dag, played(dag, failing), choose=order.choice)
    state = walk.run()
    return {key: str(each) for key, each in walk.states.items()}, str(state)


def by_airflow(dag: DAG, failing: str, patch: pytest.MonkeyPatch) -> tuple[dict[Key, str], str]:
    """Return the same by `dag.test()`, with the work of every task played.

    Tasks that others are mapped over, or that skip others, are run by Airflow, for it keeps what
    these return; the others only get their state.
    """
    run_task = sdk_dag._run_task

    def play(*, ti: Any, task: Any, run_triggerer: bool) -> Any:
        if ti.task_id == failing:
            return ti.set_state(TaskInstanceState.FAILED)
        if isinstance(task, LISTS) or ti.task_id == BRANCH:
            return run_task(ti=ti, task=task, run_triggerer=run_triggerer)
        return ti.set_state(TaskInstanceState.SUCCESS)

    patch.setattr(sdk_dag, "_run_task", play)
    patch.setattr(LISTS, "execute", lambda self, context: NODES)
    made = dag.test(run_conf={"auto_approve": True} if dag.has_task(BRANCH) else None)
    with create_session() as session:
        run = session.get(DagRun, made.id)
        assert run is not None
        found = {
            Key(each.task_id, each.map_index): str(each.state)
            for each in run.get_task_instances(session=session)
        }
        return found, str(run.state)


@pytest.mark.parametrize("dag_id", DAGS)
def test_each_task_fails_once(
    dags: dict[str, DAG], dag_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dag = dags[dag_id]
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    for failing in ["", *dag.task_dict]:
        with monkeypatch.context() as patch:
            assert walked(dag, failing) == by_airflow(dag, failing, patch), f"failing: {failing!r}"
        # All DAGs of the folder are in the database by now, and do not change.
        monkeypatch.setattr(dagbag, "sync_bag_to_db", lambda *_: None)
