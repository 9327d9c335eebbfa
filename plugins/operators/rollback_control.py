"""Say whether there is a way back before contract, and what it leaves behind."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.domain.recovery.rollback import judge_way_back, left_behind
from keystone_rollout.domain.run.events import LeftBehind
from keystone_rollout.procedures.run.gate import settle
from keystone_rollout.procedures.run.run import RolloutRun
from operators.rollout_operator import RolloutOperator


class CheckWayBackOperator(RolloutOperator):
    """Refuse a rollback after a contract that took something away, before anything is touched."""

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Place what the version table says against the migrations in the image."""
        state = run.state(run.schema.versions())
        settle(run, "way back", [judge_way_back(run.cloud, state)])


class TellLeftBehindOperator(RolloutOperator):
    """Say what a rollback does not take back, in the log and in the report."""

    def run_step(self, run: RolloutRun, context: Any) -> list[str]:
        """Return the sentences; AirflowFailException where the schema moved meanwhile."""
        state = run.state(run.schema.versions())
        verdict = judge_way_back(run.cloud, state)
        if not verdict.ok:
            raise AirflowFailException(str(verdict))
        texts = left_behind(run.cloud, state)
        for text in texts:
            self.log.info("Left behind: %s", text)
            run.directory.record(LeftBehind(text=text))
        return texts
