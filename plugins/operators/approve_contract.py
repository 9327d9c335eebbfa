"""Ask a human before the point of no return."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator

from keystone_rollout.domain.cloud.model import Limits
from keystone_rollout.procedures.run.approval import contract_evidence
from keystone_rollout.procedures.run.outcome import tell_approval_needed
from keystone_rollout.procedures.run.report import write_report_so_far
from keystone_rollout.procedures.run.resume import proceed
from keystone_rollout.procedures.run.run import RolloutRun
from keystone_rollout.views.messages.approval import approval_text
from keystone_rollout.web.links import ReportLink


class ApproveContractOperator(ApprovalOperator):
    """A question with its evidence; no answer within the cloud file's time is a rejection."""

    operator_extra_links = (ReportLink(),)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            subject="Contract the Keystone schema? There is no way back to the old release.",
            defaults="Reject",
            fail_on_reject=True,
            # Without one, the operator would take the task's own limit for it.
            response_timeout=timedelta(seconds=Limits().approval_seconds),
            **kwargs,
        )

    def execute(self, context: Any) -> None:
        """Put the measurements into the question, then wait for the answer."""
        run = RolloutRun.from_context(context)
        proceed(run, "before approval")
        self.response_timeout = timedelta(seconds=run.cloud.limits.approval_seconds)
        self.body = approval_text(contract_evidence(run))
        self.log.info("%s", self.body)
        try:
            write_report_so_far(run.directory)
            ReportLink().show_run(self, context)
        except Exception:  # the question itself holds the evidence
            self.log.exception("There is no report so far")
        tell_approval_needed(run, self.body)
        super().execute(context)
