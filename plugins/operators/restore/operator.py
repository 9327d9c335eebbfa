"""Give every operator of a restore the same end: a failure says what state the cloud is in."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.domain.run.events import DagNamed
from keystone_rollout.procedures.run.run import record_of
from operators.rollout_operator import RolloutOperator


class RestoreOperator(RolloutOperator):
    """One step of a restore."""

    standing: ClassVar[str]
    """The state and the next step for a failure that the step itself does not explain."""

    def execute(self, context: Any) -> Any:
        """Run the step; AirflowFailException says why it failed and what state the cloud is in."""
        # The report needs neither Airflow nor a readable cloud file to know what kind of run it is.
        record_of(context).record(DagNamed(dag="keystone_restore"))
        try:
            return super().execute(context)
        except AirflowFailException:
            raise
        except Exception as error:
            text = str(error).rstrip(". ") or type(error).__name__
            raise AirflowFailException(f"{text}. {self.standing}") from error
