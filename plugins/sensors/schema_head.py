"""Wait until a phase's head stands in the table that records the schema's version."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.sql.sensors.sql import SqlSensor

from keystone_rollout.domain.cloud.tls import SYSTEM_TRUST, Tls
from keystone_rollout.domain.schema.migrations import head_question
from keystone_rollout.domain.schema.versions import Phase
from keystone_rollout.hooks.database.connection import DatabaseHook
from keystone_rollout.hooks.database.sql import sql
from keystone_rollout.procedures.run.run import RolloutRun


class SchemaHeadSensor(SqlSensor):
    """Poll `migrate_version` or `alembic_version`, whichever the hop ends in, as the reader.

    A phase that does nothing in the target release has no head: the sensor says so and does not
    ask.

    :param phase: expand, migrate or contract
    :param poke_interval: seconds between two questions
    :param timeout: seconds after which a head that never appeared fails the run
    """

    def __init__(
        self, *, phase: str, poke_interval: float = 10, timeout: float = 600, **kwargs: Any
    ) -> None:
        super().__init__(
            conn_id="{{ ti.xcom_pull(task_ids='plan')['reader'] }}",
            sql="",
            mode="reschedule",
            poke_interval=poke_interval,
            timeout=timeout,
            **kwargs,
        )
        self.phase = Phase(phase)
        self._tls: Tls = SYSTEM_TRUST

    def poke(self, context: Any) -> bool:
        """Return True once the head is recorded, and nothing else in its place."""
        run = RolloutRun.from_context(context)
        question = head_question(self.phase, run.image())
        if question is None:
            self.log.info("%s does nothing in this release: no head to wait for", self.phase)
            return True
        self.sql, self.parameters = sql(question.name), question.parameters
        self._tls = run.cloud.tls
        return bool(super().poke(context))

    def _get_hook(self) -> DatabaseHook:
        return DatabaseHook(self.conn_id, self._tls)
