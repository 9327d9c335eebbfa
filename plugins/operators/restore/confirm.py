"""Go no further without a phrase that names the backup and bounds the loss."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.domain.recovery.confirmation import objection, refusal
from keystone_rollout.domain.schema.difference import Difference
from keystone_rollout.procedures.restore.session import RestoreSession
from keystone_rollout.procedures.run.run import RolloutRun
from operators.restore.restore_operator import RestoreOperator


class ConfirmRestoreOperator(RestoreOperator):
    """Compare param `confirm` with what the plan has found."""

    standing = "Nothing was touched"

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Refuse with everything one has to know to agree, and how."""
        section = RestoreSession(run).section()
        loss = Difference.from_list(section["planned"])
        reason = objection(context["params"]["confirm"] or "", section["backup"], loss.total)
        if reason:
            raise AirflowFailException(refusal(reason, section, str(run.cloud.source_release)))
        self.log.info("Confirmed: %s", loss.sentence())
