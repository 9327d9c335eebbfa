"""Give every operator of a restore the same end: whatever fails, it is said what stands where."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.domain.run.events import DagNamed
from keystone_rollout.hooks.files.run_directory import RunDirectory
from operators.rollout_operator import RolloutOperator


class RestoreOperator(RolloutOperator):
    """Run one step of a restore."""

    standing: ClassVar[str]
    """What holds when this step fails for a reason that it does not explain itself."""

    def execute(self, context: Any) -> Any:
        """Run the step; AirflowFailException says why it failed and what stands where."""
        # The report needs neither Airflow nor a readable cloud file to know what kind of run it is.
        RunDirectory.of(context).record(DagNamed(dag="keystone_restore"))
        try:
            return super().execute(context)
        except AirflowFailException:
            raise
        except Exception as error:
            text = str(error).rstrip(". ") or type(error).__name__
            raise AirflowFailException(f"{text}. {self.standing}") from error
