"""Leave the cloud serving, however the restore ended; or say exactly what does not serve."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.domain.recovery.restore import OpenRestore
from keystone_rollout.domain.run.events import RestoreChanged, RestoreOutcome
from keystone_rollout.procedures.restore.outage import OutageFailed
from keystone_rollout.procedures.restore.session import RestoreSession
from keystone_rollout.procedures.run.run import RolloutRun, record_of
from keystone_rollout.procedures.run.teardown import Teardown
from operators.restore.operator import RestoreOperator


class ReturnServersOperator(RestoreOperator):
    """The restart of nodes that were stopped for nothing; after the swap, only their names."""

    standing = (
        "Not every server may be in rotation. Next: look at each on the load balancers, then clear "
        "this task"
    )

    def execute(self, context: Any) -> Any:
        """Do nothing in a run that took no server out."""
        events = record_of(context).events(RestoreChanged)
        if all(event.began is None for event in events):
            self.log.info("This run took no server out")
            return None
        return super().execute(context)

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Read the present state; AirflowFailException names every server that stays out."""
        session = RestoreSession(run)
        restore = session.history.open()
        if restore is None:
            self.log.info("The restore is over")
            return
        moved = session.moved(restore)
        if not moved:
            self._start_again(session, restore)
        out = session.outage.servers.not_serving(session.servers())
        if out:
            raise AirflowFailException(
                f"not in rotation: {'; '.join(out)}. "
                + (self._after(session, restore) if moved else self._before())
            )
        if moved:
            self.log.warning("Every server serves. %s", self._after(session, restore))

    def _start_again(self, session: RestoreSession, restore: OpenRestore) -> None:
        session.swap(restore).undo()
        cloud, servers = session.cloud, session.outage.servers
        names = [node.name for node in cloud.nodes if not servers.serving([node.server])]
        try:
            session.outage.start_again(names, self._releases(session))
        except OutageFailed as error:
            self.log.error(str(error))
            return
        session.keep_downtime()
        session.history.close(restore.replaced, RestoreOutcome.PUT_BACK)
        session.record(outcome=RestoreOutcome.PUT_BACK)
        self.log.info("No table was moved, and every server serves as it did")

    def _releases(self, session: RestoreSession) -> list[str]:
        """Return the releases that may serve the live schema, which is as this run found it."""
        cloud = session.cloud
        return [cloud.target] if session.section().swap_needed else [cloud.source, cloud.target]

    def _before(self) -> str:
        return (
            "No table was moved: the schema is as it was. Next: start Keystone on these nodes by "
            "hand, set the servers ready, then start keystone_restore again"
        )

    def _after(self, session: RestoreSession, restore: OpenRestore) -> str:
        return (
            f"The schema is that of {restore.backup}, so only {session.cloud.source} may serve; "
            f"what served before is in schema {restore.replaced}. Next: read why the first red "
            "task failed, repair, then clear it: what is done is not done again"
        )


class DropScratchSchemaOperator(BaseOperator):
    """The removal of the schema that the backup was loaded into."""

    def execute(self, context: Any) -> None:
        """Drop it, or say that this run made none."""
        if not record_of(context).events(RestoreChanged):
            self.log.info("This run loaded no backup")
            return
        run = RolloutRun.from_context(context)
        session = RestoreSession(run)
        Teardown(run).do(f"dropping {session.load.schema.schema}", session.load.drop)
        self.log.info("Dropped %s", session.load.schema.schema)
