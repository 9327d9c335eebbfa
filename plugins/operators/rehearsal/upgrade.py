"""Start keystone_upgrade for a rehearsal, and wait for it: with a scheduler, or without one."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import DagIsPaused, TriggerDagRunOperator
from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.domain.run.events import Rehearsed
from keystone_rollout.domain.run.systems import UpgradeProcess
from keystone_rollout.hooks.processes.upgrade_here import UPGRADE
from keystone_rollout.procedures.run.run import RolloutRun
from operators.rehearsal.operator import rehearsal_id
from operators.rehearsal.reset_staging import declared

POLL_SECONDS = 15
DAGS_TEST = "dag_test"
"""Airflow's name for the starter of a run of `airflow dags test`."""


class RehearseUpgradeOperator(TriggerDagRunOperator):
    """An upgrade that is triggered with auto_approve; its outcome is this task's.

    While it waits, it takes no worker's place. Under `airflow dags test` nobody would run a
    triggered DAG, so the upgrade runs in a process of its own there, in the same way.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            trigger_dag_id=UPGRADE,
            wait_for_completion=True,
            deferrable=True,
            poke_interval=POLL_SECONDS,
            fail_when_dag_is_paused=True,
            openlineage_inject_parent_info=False,
            **kwargs,
        )
        self._here: UpgradeProcess | None = None

    def execute(self, context: Any) -> None:
        """Start the upgrade and wait; AirflowFailException if it ends red.

        Its run id is written down first, so that the report is found in every case.
        """
        params = context["params"]
        run = self.rollout_run(context)
        declared(run)
        run.lock.release()  # of a step that was cleared: its teardown does not run again
        self.conf = {
            **{name: params[name] for name in ("cloud", "source", "target")},
            "auto_approve": True,
        }
        if context["dag_run"].triggering_user_name == DAGS_TEST:
            self._run_here(run)
            return
        # A cleared task rehearses anew, and must not find the run of before.
        self.trigger_run_id = f"{rehearsal_id(context)}__{context['ti'].try_number}"
        run.directory.record(Rehearsed(upgrade=self.trigger_run_id))
        try:
            super().execute(context)
        except DagIsPaused as error:
            raise AirflowFailException(
                f"DAG {UPGRADE} is paused: measured paused, limit switched on. What is triggered "
                "would wait for ever, so nothing was. Next: switch it on (it has no schedule, so "
                "nothing starts by that), then clear this task"
            ) from error

    def rollout_run(self, context: Any) -> RolloutRun:
        """Return the run in the rehearsal's name."""
        return RolloutRun.from_context({**context, "run_id": rehearsal_id(context)})

    def _run_here(self, run: RolloutRun) -> None:
        self._here = run.programs.upgrade(self.conf or {})
        run.directory.record(Rehearsed(upgrade=self._here.run_id))
        self.log.info("No scheduler: %s runs here, run id %s", UPGRADE, self._here.run_id)
        if not self._here.run():
            raise AirflowFailException(
                f"{UPGRADE}, run {self._here.run_id}, failed: its report says why, and what to do; "
                "task keep_report names it"
            )

    def on_kill(self) -> None:
        """End an upgrade that runs in a process of ours; a triggered one is not ours to end."""
        if self._here is not None:
            self._here.stop()
