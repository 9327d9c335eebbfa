"""Watch the load while the upgrade goes on beside it."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseSensorOperator

from keystone_rollout.domain.run.events import Look
from keystone_rollout.domain.verdict import failed
from keystone_rollout.procedures.load.session import LoadSession
from keystone_rollout.procedures.run.gate import require
from keystone_rollout.procedures.run.run import RolloutRun
from keystone_rollout.web.links import LoadLink

ENDED = {"success", "failed", "upstream_failed", "skipped", "removed"}


class LoadWatchSensor(BaseSensorOperator):
    """A watch that judges the load again and again until the last task of the upgrade has ended.

    It reschedules rather than blocks, so that it runs beside the upgrade in `airflow dags test`
    too.

    :param until: id of the task whose end ends the watch
    """

    operator_extra_links = (LoadLink(),)

    def __init__(self, *, until: str, **kwargs: Any) -> None:
        super().__init__(mode="reschedule", **kwargs)
        self.until = until

    def poke(self, context: Any) -> bool:
        """Fail the run at the first violated limit; return True once the upgrade has ended."""
        if self._is_over(context):
            return True
        run = RolloutRun.from_context(context)
        run.lock.keep_alive()  # beside the steps, each of which renews it at its start
        session = LoadSession(run)
        LoadLink().show_run(self, context)
        if session.ended_on_purpose():
            self.log.info("The load was ended by a teardown; the next step starts it again")
            return False
        if session.baseline() is None:
            self.log.info("The baseline is being measured")
            return False
        verdicts = session.judge()
        if failed(verdicts) and self._is_over(context):
            # Judged too late: the load may just have been stopped on purpose.
            return True
        require(run, "watch", verdicts, Look.WATCH)
        return False

    def _is_over(self, context: Any) -> bool:
        instance = context["ti"]
        states = instance.get_task_states(
            dag_id=instance.dag_id, task_ids=[self.until], run_ids=[instance.run_id]
        )
        return bool({state for run in states.values() for state in run.values()} & ENDED)
