"""No task of any DAG can run without an end."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, BaseSensorOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout

from keystone_rollout.domain.cloud.model import Limits
from keystone_rollout.procedures.run.run import RolloutRun
from operators.rollout_operator import RolloutOperator

LONGEST_SENSOR = timedelta(days=1)


def unlimited(dags: dict[str, DAG]) -> list[str]:
    """Return the tasks without a limit, each as dag.task."""
    return [
        f"{dag.dag_id}.{task.task_id}"
        for dag in dags.values()
        for task in dag.tasks
        if task.execution_timeout is None
        or (isinstance(task, BaseSensorOperator) and task.timeout > LONGEST_SENSOR.total_seconds())
    ]


def test_every_task_has_a_limit(dags: dict[str, DAG]) -> None:
    assert {"keystone_plan", "keystone_upgrade", "keystone_rollback", "keystone_restore",
            "keystone_rehearsal"} <= dags.keys()  # fmt: skip
    assert unlimited(dags) == []


def test_a_task_without_one_would_be_named(dags: dict[str, DAG]) -> None:
    class Waits(BaseSensorOperator):
        pass

    with DAG("bad", schedule=None) as bad:
        RolloutOperator(task_id="no_limit")
        Waits(task_id="a_week", execution_timeout=timedelta(hours=1))
    assert unlimited({"bad": bad}) == ["bad.no_limit", "bad.a_week"]


def test_it_is_longer_than_what_the_cloud_file_allows_a_task(dags: dict[str, DAG]) -> None:
    """A backup dumps and loads; a phase waits for an earlier container, and then for its own."""
    limits = Limits()
    longest = max(2 * limits.dump_seconds, 2 * limits.phase_seconds, limits.approval_seconds)
    for dag in dags.values():
        for task in dag.tasks:
            assert task.execution_timeout is not None
            assert task.execution_timeout > timedelta(seconds=longest), task.task_id


def test_the_approval_still_waits_as_long_as_the_cloud_file_says(dags: dict[str, DAG]) -> None:
    ask: Any = dags["keystone_upgrade"].get_task("contraction.approve_contract")
    assert ask.response_timeout == timedelta(seconds=Limits().approval_seconds)


def test_a_task_that_reached_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path))

    class Hangs(RolloutOperator):
        def run_step(self, run: RolloutRun, context: Any) -> None:
            raise AirflowTaskTimeout("Timeout, PID: 1")

    task = Hangs(task_id="hangs", execution_timeout=timedelta(hours=2))
    instance = SimpleNamespace(task_id="hangs", dag_id="keystone_upgrade")
    context = {"params": {"cloud": "lab"}, "run_id": "r", "ti": instance}
    with pytest.raises(AirflowFailException) as caught:
        task.execute(context)
    assert str(caught.value).startswith(
        "hangs was interrupted: measured more than 2:00:00, the task's limit (execution_timeout)"
    )
