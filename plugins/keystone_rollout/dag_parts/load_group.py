"""Wire the load beside the steps it proves: start, baseline, watch, judge, stop, check."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow.sdk import TaskGroup, chain

from operators.load_control import (
    CheckWritesOperator,
    JudgeLoadOperator,
    MeasureBaselineOperator,
    StartLoadOperator,
    StopLoadOperator,
)
from sensors.load_watch import LoadWatchSensor

# An executor may fail a rescheduled sensor without a cause (apache/airflow#71172). A violation that
# a sensor here finds is an AirflowFailException, which is never retried.
SURVIVE_EXECUTOR: dict[str, Any] = {"retries": 5, "retry_delay": timedelta(seconds=10)}


@dataclass(frozen=True)
class LoadGroup:
    """The load's tasks that other steps are wired to."""

    start: StartLoadOperator
    baseline: MeasureBaselineOperator
    watch: LoadWatchSensor
    judge: JudgeLoadOperator
    stop: StopLoadOperator
    check_writes: CheckWritesOperator

    def around(self, before: Any, first: Any, last: Any) -> None:
        """Run the load from after ``before`` until after ``last``; ``first`` has its baseline.

        Nothing waits for `watch_load`: it ends at its first look after `judge_load` has ended,
        green or red, so it never takes a stopped load for a dead one.
        """
        chain(before, self.start, self.baseline, [self.watch, first])
        chain(last, self.judge, self.stop, self.check_writes)
        self.stop.as_teardown(setups=self.start, on_failure_fail_dagrun=True)


def load_group() -> LoadGroup:
    """Make the task groups `load` and `proof`; `around` wires them to the other steps.

    There are two, because one group both before and after the nodes would be a cycle of groups:
    then Airflow shows neither grid nor graph of the DAG, only an error.
    """
    with TaskGroup("load"):
        start = StartLoadOperator(task_id="start_load")
        baseline = MeasureBaselineOperator(task_id="measure_baseline")
        watch = LoadWatchSensor(
            task_id="watch_load",
            until="load.judge_load",
            poke_interval=10,
            timeout=86400,
            **SURVIVE_EXECUTOR,
        )
    with TaskGroup("proof", prefix_group_id=False):
        return LoadGroup(
            start=start,
            baseline=baseline,
            watch=watch,
            judge=JudgeLoadOperator(task_id="load.judge_load"),
            stop=StopLoadOperator(task_id="load.stop_load"),
            check_writes=CheckWritesOperator(task_id="load.check_acknowledged_writes"),
        )
