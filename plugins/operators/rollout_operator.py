"""Give every operator of the upgrade the same start: its run, and a step in the record."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator

from hooks.rollout_run import RolloutRun


class RolloutOperator(BaseOperator):
    """Run one step of the upgrade; subclasses say what it does in `run_step`."""

    def execute(self, context: Any) -> Any:
        """Load the cloud, record the step, and hand over to `run_step`."""
        run = RolloutRun.from_context(context)
        with run.step(self.task_id.rsplit(".", 1)[-1]):
            return self.run_step(run, context)

    def run_step(self, run: RolloutRun, context: Any) -> Any:
        """Do the work; what it returns is the task's XCom."""
        raise NotImplementedError
