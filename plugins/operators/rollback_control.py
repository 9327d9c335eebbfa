"""Judge whether there is a way back before contract, and list what a rollback leaves behind."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.domain.recovery.rollback import judge_way_back, left_behind
from keystone_rollout.domain.run.events import LeftBehind
from keystone_rollout.procedures.run.gate import require
from keystone_rollout.procedures.run.run import RolloutRun
from operators.rollout_operator import RolloutOperator


class CheckWayBackOperator(RolloutOperator):
    """The check, before anything is touched, that contract has removed nothing."""

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Place the recorded versions against the migrations of the image."""
        state = run.state(run.schema.versions())
        require(run, "way back", [judge_way_back(run.cloud, state)])


class TellLeftBehindOperator(RolloutOperator):
    """The list of what a rollback leaves as it is, in the log and in the report."""

    def run_step(self, run: RolloutRun, context: Any) -> list[str]:
        """Return the sentences; AirflowFailException if the schema moved meanwhile."""
        state = run.state(run.schema.versions())
        verdict = judge_way_back(run.cloud, state)
        if not verdict.ok:
            raise AirflowFailException(str(verdict))
        texts = left_behind(run.cloud, state)
        for text in texts:
            self.log.info("Left behind: %s", text)
            run.directory.record(LeftBehind(text=text))
        return texts
