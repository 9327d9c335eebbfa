"""End the run: green only after every step, and safely also where it was resumed."""

from __future__ import annotations

from typing import Any

from keystone_rollout.procedures.run.end import end_safely, was_resumed
from keystone_rollout.procedures.run.run import RolloutRun
from operators.rollout_operator import RolloutOperator
from operators.write_report import failed_tasks


class EndRunOperator(RolloutOperator):
    """Be the leaf on which the run's state hangs.

    After "clear failed tasks" the teardowns do not run again, so a resumed run is ended here.
    """

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """End what resumed tasks took and started; nothing where the teardowns did it."""
        if was_resumed(run):
            end_safely(run, "succeeded", [])


def end_resumed_run(context: Any) -> None:
    """End a resumed run that failed again (on_failure_callback of every task)."""
    run = RolloutRun.from_context(context)
    if was_resumed(run):
        red, _stopped = failed_tasks(context)
        end_safely(run, "failed", sorted({*red, str(context["ti"].task_id)}))
