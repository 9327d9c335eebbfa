"""Run one attempt of a real task of a DAG, without Airflow's database."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.bases.sensor import BaseSensorOperator
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSkipException,
    TaskAwaitingInput,
)

from tests.simulation.outside import SimulatedOutside
from tests.simulation.rules import Photo, false_claims, photo
from tests.simulation.walker import Key, Outcome, State, Walk
from tests.simulation.world import World

BRANCH = "choose_approval"
LATER = Outcome(None)
TURN_SECONDS = 10.0


@cache
def made_tasks(dag: DAG) -> dict[tuple[str, str], Any]:
    """Return where a DAG's tasks are kept as they are before an attempt, by id and node."""
    return {}


@dataclass
class Attempts:
    """The attempts of one run, and what its tasks said when they failed."""

    dag: DAG
    run_id: str
    params: dict[str, Any]
    outside: SimulatedOutside
    walk: Walk = field(init=False)
    made: dict[tuple[str, str], Any] = field(init=False)
    said: dict[Key, str] = field(default_factory=dict)
    not_before: dict[Key, float] = field(default_factory=dict)
    """When a task that asked for it is tried again."""
    tries: dict[Key, int] = field(default_factory=dict)
    first: dict[Key, float] = field(default_factory=dict)
    _before: Photo = field(init=False)
    """What the cloud was like when the present attempt began."""

    def __post_init__(self) -> None:
        self.made = made_tasks(self.dag)

    @property
    def world(self) -> World:
        return self.outside.site.world

    def __call__(self, key: Key) -> Outcome:
        """Run a task instance once, in a process of its own."""
        task = self._task(key)
        self._before = photo(self.outside.site)
        self.world.begin(_named(key), task.on_kill)
        outcome = self._execute(task, key)
        if outcome.state is State.FAILED and not self.world.dead:
            self._call_back(task, key)
        if self.world.end() and outcome.state is not State.FAILED:
            self.said.setdefault(key, "killed")
            return Outcome(State.FAILED)
        return outcome

    def _task(self, key: Key) -> Any:
        node = self.walk.argument(key) if key.map_index >= 0 else ""
        if (key.task_id, node) not in self.made:
            task: Any = self.dag.task_dict[key.task_id]
            task = task.unmap({"node": node}) if isinstance(task, MappedOperator) else task
            self.made[key.task_id, node] = task
        return copy.copy(self.made[key.task_id, node])

    def context(self, key: Key) -> dict[str, Any]:
        """Return what Airflow hands a task, as far as the operators look into it."""
        instance = SimpleNamespace(
            id=str(key), task_id=key.task_id, map_index=key.map_index, dag_id=self.dag.dag_id,
            run_id=self.run_id, get_task_states=self._states, xcom_push=lambda **_: None,
        )  # fmt: skip
        return {"ti": instance, "task_instance": instance, "run_id": self.run_id,
                "params": self.params}  # fmt: skip

    def _states(self, task_ids: list[str] | None = None, **_: Any) -> Mapping[str, Any]:
        wanted = task_ids or list(self.dag.task_dict)
        states = {
            _named(key): str(self.walk.states[key]) if key in self.walk.states else None
            for task_id in wanted
            for key in self.walk.instances(task_id)
        }
        return {self.run_id: states}

    def _execute(self, task: Any, key: Key) -> Outcome:
        context = self.context(key)
        try:
            if isinstance(task, EmptyOperator):
                return Outcome(State.SUCCESS)
            if key.task_id.endswith(BRANCH):
                chosen = task.python_callable(params=self.params)
                return Outcome(State.SUCCESS, chosen, frozenset({chosen}))
            if isinstance(task, BaseSensorOperator):
                return self._poke(task, key, context)
            return Outcome(State.SUCCESS, task.execute(context))
        except TaskAwaitingInput:
            return self._answer(task, key, context)
        except AirflowSkipException:
            return Outcome(State.SKIPPED)
        except AirflowRescheduleException:
            self.not_before[key] = self.world.passed + TURN_SECONDS
            return LATER
        except AirflowFailException as error:
            return self._failed(key, error)
        except BaseException as error:
            return self._again(task, key, error)

    def _poke(self, task: Any, key: Key, context: dict[str, Any]) -> Outcome:
        if task.poke(context):
            return Outcome(State.SUCCESS)
        began = self.first.setdefault(key, self.world.passed)
        if self.world.passed - began > task.timeout:
            return self._failed(key, RuntimeError(f"not within {task.timeout} s"))
        self.not_before[key] = self.world.passed + task.poke_interval
        return LATER

    def _again(self, task: Any, key: Key, error: BaseException) -> Outcome:
        self.tries[key] = self.tries.get(key, 0) + 1
        if self.tries[key] > (task.retries or 0) or self.world.run_lost:
            return self._failed(key, error)
        delay = task.retry_delay or timedelta(0)
        self.not_before[key] = self.world.passed + delay.total_seconds()
        return LATER

    def _failed(self, key: Key, error: BaseException) -> Outcome:
        self.said[key] = text = str(error) or type(error).__name__
        for kind, what in false_claims(self.outside.site, self._before, text):
            self.outside.site.violated(kind, f"task {_named(key)}: {what}")
        return Outcome(State.FAILED)

    def _answer(self, task: Any, key: Key, context: dict[str, Any]) -> Outcome:
        """Let a person answer a question after a while."""
        self.world.advance(30.0)
        chosen = "Approve" if self.outside.site.approved else "Reject"
        answer = {
            "chosen_options": [chosen],
            "params_input": {},
            "responded_at": datetime.fromtimestamp(self.world.now(), UTC),
            "responded_by_user": None,
        }
        try:
            task.execute_complete(context, answer)
        except Exception as error:
            return self._failed(key, error)
        return Outcome(State.SUCCESS)

    def _call_back(self, task: Any, key: Key) -> None:
        for each in task.on_failure_callback or ():
            try:
                each(self.context(key))
            except BaseException as error:
                self.said[key] += f"; {error}"


def _named(key: Key) -> str:
    return key.task_id if key.map_index < 0 else f"{key.task_id}_{key.map_index}"


ExecutorSafeguard.test_mode = True
