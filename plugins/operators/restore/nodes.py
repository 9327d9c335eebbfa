"""Take all nodes back to the source release; the first one that is proven ends the downtime."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.domain.node.cycle import RunningRelease
from keystone_rollout.domain.recovery.restore_record import downtime_in_words
from keystone_rollout.domain.recovery.verdicts import judge_caches, judge_versions
from keystone_rollout.procedures.restore.outage import OutageFailed
from keystone_rollout.procedures.restore.session import RestoreSession
from keystone_rollout.procedures.run.gate import settle
from keystone_rollout.procedures.run.run import RolloutRun
from keystone_rollout.web.links import StatisticsLink
from operators.restore.restore_operator import RestoreOperator


class RestoreNodesOperator(RestoreOperator):
    """Install and start the old release everywhere at once, from what each node has kept."""

    needs_lock = True
    operator_extra_links = (StatisticsLink(),)
    standing = (
        "The schema is the backup's, and the nodes that do not serve the old release are out of "
        "rotation. Next: repair, then clear this task"
    )

    def run_step(self, run: RolloutRun, context: Any) -> list[str]:
        """Return the nodes that were taken back; those that serve the old release are left alone.

        AirflowFailException names each node that stays out, after all others serve.
        """
        StatisticsLink().show_cloud(self, context, run.cloud)
        session = RestoreSession(run)
        settle(run, "before the nodes", [judge_versions(
            session.live.versions(), session.backup_versions(), session.live.schema
        )])  # fmt: skip
        source, outage = run.cloud.source, session.outage
        names = self._to_replace(session)
        try:
            outage.replace(names, source)
        except OutageFailed as error:
            raise AirflowFailException(
                f"{error}. The schema is the backup's, so only {source} may serve; it is served by "
                f"{', '.join(session.serving()) or 'nobody'}. Next: repair each of these nodes, "
                "then clear this task: it leaves the ones that serve alone"
            ) from error
        session.keep_downtime()
        self.log.info("Downtime: %s", downtime_in_words(session.section()))
        if names:
            settle(run, "caches", [judge_caches(outage.stale_caches)])
        return names

    def _to_replace(self, session: RestoreSession) -> list[str]:
        cloud, outage = session.cloud, session.outage
        names = []
        for name, report in outage.nodes.reports().items():
            server = cloud.node(name).server
            done = isinstance(report, RunningRelease) and report.serves(cloud.source)
            if done and outage.servers.serving([server]):
                session.note(name, "up", f"serves {cloud.source} already")
            else:
                names.append(name)
        return names
