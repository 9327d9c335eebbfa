"""Ask a human before the point of no return."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator

from hooks.gate import open_gate
from hooks.keystone_database import KeystoneDatabase
from hooks.load_session import LoadSession
from hooks.rollout_run import RolloutRun
from hooks.run_outcome import tell_approval_needed
from rollout.phase_forecast import forecast
from rollout.version_table import Phase


class ApproveContractOperator(ApprovalOperator):
    """Show the evidence and wait; no answer within the cloud file's time is a rejection."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            subject="Contract the Keystone schema? There is no way back to the old release.",
            defaults="Reject",
            fail_on_reject=True,
            **kwargs,
        )

    def execute(self, context: Any) -> None:
        """Put what was measured into the question, then wait for the answer."""
        run = RolloutRun.from_context(context)
        open_gate(run, "before approval")
        self.response_timeout = timedelta(seconds=run.cloud.limits.approval_seconds)
        backup = run.directory.last("backup") or {}
        state = run.state(KeystoneDatabase(run.cloud).versions())
        lines = [
            f"* {run.cloud.name}: {run.cloud.source_release} to {run.cloud.target_release}",
            f"* schema at {state}, heads {state.image}",
            f"* {forecast(Phase.CONTRACT, state)}",
            f"* verified backup: {backup.get('path', 'none')}",
            *(f"* {verdict}" for verdict in LoadSession(run).judge()),
        ]
        self.body = "\n".join(lines)
        tell_approval_needed(run, self.body)
        super().execute(context)
