"""The downtime of a restore: Keystone stopped everywhere, then the old release on each node."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.domain.node.cycle import NodeState
from keystone_rollout.domain.node.release_report import NodeReport
from keystone_rollout.domain.recovery.restore import downtime_in_words, judge_caches, judge_versions
from keystone_rollout.procedures.restore.outage import OutageFailed
from keystone_rollout.procedures.restore.session import RestoreSession
from keystone_rollout.procedures.run.gate import require
from keystone_rollout.procedures.run.run import RolloutRun
from keystone_rollout.web.links import StatisticsLink
from operators.restore.operator import RestoreOperator


class StopKeystoneOperator(RestoreOperator):
    """The drain of every server, and the stop of Keystone on all nodes at once."""

    needs_lock = True
    operator_extra_links = (StatisticsLink(),)
    standing = (
        "No table was moved; task settle_servers starts again what was stopped. Next: repair, then "
        "start keystone_restore again"
    )

    def run_step(self, run: RolloutRun, context: Any) -> list[str]:
        """Return the nodes that were stopped; those that serve the old release already are not."""
        StatisticsLink().show_cloud(self, context, run.cloud)
        session = RestoreSession(run)
        if session.load.loaded() != session.backup().name:
            raise AirflowFailException(
                "no server was taken out: the backup that was planned with is not loaded any more, "
                "so the plan is out of date. Next: start keystone_restore again"
            )
        reports = session.outage.nodes.reports()
        unknown = [f"{name}: {report}" for name, report in reports.items() if not report.release]
        if unknown:
            raise AirflowFailException(
                f"no server was taken out, because not every node can be stopped: measured "
                f"{'; '.join(unknown)}; limit every node reachable over SSH. A node that goes on "
                "would write into tables that are moved. Next: repair it, then clear this task"
            )
        names = self._to_stop(session, reports)
        if not names:
            self.log.info("Every node serves %s already, and the schema stays", run.cloud.source)
            return []
        by_hand = session.taken_out_by_hand(names)
        if by_hand:
            raise AirflowFailException(
                f"no server was taken out, because a person has taken out some: measured "
                f"{'; '.join(by_hand)}; limit every server ready, or out by an upgrade. A restore "
                "sets all of them ready at its end. Next: set them ready by hand, then clear this "
                "task; one whose node is broken gets no requests, its health check fails"
            )
        restore = session.begin()
        if not session.record(began=restore.began, replaced=restore.replaced):
            raise AirflowFailException(
                f"no server was taken out: that could not be written into {run.directory.path}, so "
                "task settle_servers would not return it. Next: make that folder writable (is its "
                "disk full?), then clear this task"
            )
        cut = session.outage.stop(names)
        self.log.info("Nobody serves: %s stopped, %d sessions cut", ", ".join(names), cut)
        return names

    def _to_stop(self, session: RestoreSession, reports: dict[str, NodeReport]) -> list[str]:
        if session.section().swap_needed:
            return list(reports)
        servers = session.outage.servers
        return [
            name
            for name, report in reports.items()
            if not report.serves(session.cloud.source)
            or not servers.serving([session.cloud.node(name).server])
        ]


class RestoreNodesOperator(RestoreOperator):
    """The old release, installed everywhere at once from the files that each node has kept."""

    needs_lock = True
    operator_extra_links = (StatisticsLink(),)
    standing = (
        "The schema is the backup's, and the nodes that do not serve the old release are out of "
        "rotation. Next: repair, then clear this task"
    )

    def run_step(self, run: RolloutRun, context: Any) -> list[str]:
        """Return the restored nodes; those that serve the old release already are left alone.

        AirflowFailException names each node that stays out, after all others serve.
        """
        StatisticsLink().show_cloud(self, context, run.cloud)
        session = RestoreSession(run)
        require(run, "before the nodes", [judge_versions(
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
            require(run, "caches", [judge_caches(outage.stale_caches)])
        return names

    def _to_replace(self, session: RestoreSession) -> list[str]:
        cloud, outage = session.cloud, session.outage
        names = []
        for name, report in outage.nodes.reports().items():
            server = cloud.node(name).server
            if report.serves(cloud.source) and outage.servers.serving([server]):
                session.note(name, NodeState.UP, f"serves {cloud.source} already")
            else:
                names.append(name)
        return names
