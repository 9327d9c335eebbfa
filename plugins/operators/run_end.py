"""End the run: green only after every step, and safely even if it was resumed."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator

from keystone_rollout.domain.run.events import DagNamed
from keystone_rollout.procedures.run.end import end_safely, was_resumed
from keystone_rollout.procedures.run.outcome import end_with_report
from keystone_rollout.procedures.run.run import RolloutRun, record_of
from keystone_rollout.web.links import ReportLink
from operators.rollout_operator import RolloutOperator

RELEASE = "release_lock"
"""The task that releases the lock, in every DAG whose runs are ended here."""


def failed_tasks(context: Any) -> tuple[list[str], bool]:
    """Return the run's red tasks, and whether any task did not run because of one."""
    flat = _task_states(context)
    red = sorted(task for task, state in flat.items() if state == "failed")
    return red, bool(red) or any(state == "upstream_failed" for state in flat.values())


def _task_states(context: Any) -> dict[str, Any]:
    instance = context["ti"]
    states = instance.get_task_states(dag_id=instance.dag_id, run_ids=[instance.run_id])
    return {task: state for run in states.values() for task, state in run.items()}


def has_no_teardown(run: RolloutRun, context: Any) -> bool:
    """Tell whether nobody else will end this run: its teardowns have ended, and it went on.

    Its record says so, or, if that could not be written: the task that releases the lock has ended,
    and this run has the lock.
    """
    if was_resumed(run):
        return True
    over = _task_states(context).get(RELEASE) in ("success", "failed")
    if not over or str(context["ti"].task_id) == RELEASE:
        return False
    holder = run.lock.holder()
    return holder is not None and holder.is_run(run.directory.identity())


class WriteReportOperator(BaseOperator):
    """The notification of the run's end, and the report; both work without the cloud file."""

    operator_extra_links = (ReportLink(),)

    def execute(self, context: Any) -> str:
        """Return the report's path."""
        red, stopped = failed_tasks(context)
        directory = record_of(context)
        directory.record(DagNamed(dag=str(context["ti"].dag_id)))
        try:
            cloud = RolloutRun.from_context(context, any_hop=True).cloud
        except Exception as error:  # the report is written after any error
            cloud = None
            self.log.warning("Whom to tell stands in the cloud file, so nobody is told: %s", error)
        path = end_with_report(cloud, directory, "failed" if stopped else "succeeded", red)
        self.log.info("Report: %s", path)
        return str(path)


class EndRunOperator(RolloutOperator):
    """The leaf on which the run's state hangs.

    After "clear failed tasks" the teardowns do not run again, so a resumed run is ended here.
    """

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """End the lock, load and variables of resumed tasks, if no teardown has."""
        if has_no_teardown(run, context):
            end_safely(run, "succeeded", [])


def end_resumed_run(context: Any) -> None:
    """End a resumed run that failed again (on_failure_callback of every task)."""
    run = RolloutRun.from_context(context)
    if has_no_teardown(run, context):
        red, _stopped = failed_tasks(context)
        end_safely(run, "failed", sorted({*red, str(context["ti"].task_id)}))
