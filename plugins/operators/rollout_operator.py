"""Give every operator of the upgrade the same start: its run, and a step in the record."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout

from keystone_rollout.procedures.run.resume import proceed
from keystone_rollout.procedures.run.run import RolloutRun
from keystone_rollout.procedures.run.teardown import Teardown


class RolloutOperator(BaseOperator):
    """One step of the upgrade; subclasses define `run_step`."""

    needs_lock = False
    """Whether the step changes the cloud and stands on the lock alone, without load or variables.
    A cleared task takes the lock again, which a teardown has released."""

    any_hop = False
    """Whether the step also takes an unsupported pair of releases: a plan shows what is wrong."""

    def execute(self, context: Any) -> Any:
        """Load the cloud, record the step, hand over to `run_step`; a teardown is tried again."""
        run = RolloutRun.from_context(context, any_hop=self.any_hop)
        name = self.task_id.rsplit(".", 1)[-1]
        if self.needs_lock:
            proceed(run, f"before {name}", [])
        try:
            with run.step(name):
                if self.is_teardown:
                    return Teardown(run).do(name, lambda: self.run_step(run, context))
                return self.run_step(run, context)
        except AirflowTaskTimeout as error:
            raise AirflowFailException(
                f"{name} was interrupted: measured more than {self.execution_timeout}, the task's "
                "limit (execution_timeout). None of the cloud file's limits had ended its wait, "
                "and what it waited for may go on. Next: find in the log above what that was, "
                "then clear this task"
            ) from error

    def run_step(self, run: RolloutRun, context: Any) -> Any:
        """Do the work; return the task's XCom."""
        raise NotImplementedError
