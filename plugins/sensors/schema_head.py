"""Wait until a phase's head stands in the table that records the schema's version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow.providers.common.sql.sensors.sql import SqlSensor

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.schema.migrations import head_question
from keystone_rollout.domain.schema.target import PhaseTarget, live_target
from keystone_rollout.domain.schema.versions import Phase
from keystone_rollout.hooks.database.sql import sql
from keystone_rollout.procedures.run.run import RolloutRun


class SchemaHeadSensor(SqlSensor):
    """A poll of `migrate_version` or `alembic_version`, whichever the target release records in.

    A phase that does nothing in the target release has no head: the sensor logs that and does not
    poll.

    :param phase: expand, migrate or contract
    :param target: says of a cloud which schema is asked; the live one by default
    :param poke_interval: seconds between two questions
    :param timeout: seconds after which a head that never appeared fails the run
    """

    def __init__(
        self,
        *,
        phase: str,
        target: Callable[[Cloud], PhaseTarget] = live_target,
        poke_interval: float = 10,
        timeout: float = 600,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            conn_id="from the cloud file",
            sql="",
            mode="reschedule",
            poke_interval=poke_interval,
            timeout=timeout,
            **kwargs,
        )
        self.phase = Phase(phase)
        self.target = target

    def poke(self, context: Any) -> bool:
        """Return True once the head is recorded, and nothing else in its place."""
        run = RolloutRun.from_context(context)
        question = head_question(self.phase, run.image())
        if question is None:
            self.log.info("%s does nothing in this release: no head to wait for", self.phase)
            return True
        target = self.target(run.cloud)
        self.conn_id = target.reader
        self.sql, self.parameters = sql(question.name), question.parameters
        self._schema = run.schema_of(target)
        return bool(super().poke(context))

    def _get_hook(self) -> Any:
        """Return the hook that SqlSensor asks: the run's."""
        return self._schema.reader
