"""Begin the downtime: no server in rotation, Keystone stopped on every node."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.domain.node.cycle import RunningRelease
from keystone_rollout.hooks.node.all_nodes import report_in_words
from keystone_rollout.procedures.restore.session import RestoreSession
from keystone_rollout.procedures.run.run import RolloutRun
from keystone_rollout.web.links import StatisticsLink
from operators.restore.restore_operator import RestoreOperator


class StopKeystoneOperator(RestoreOperator):
    """Drain every server, wait for its sessions, and stop Keystone on all nodes at once."""

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
        unknown = [f"{name}: {report_in_words(report)}" for name, report in reports.items()
                   if isinstance(report, Exception)]  # fmt: skip
        if unknown:
            raise AirflowFailException(
                f"no server was taken out, because not every node can be stopped: measured "
                f"{'; '.join(unknown)}; limit every node reachable over SSH. A node that goes on "
                "would write into tables that are moved. Next: repair it, then clear this task"
            )
        names = self._to_stop(session, {name: report for name, report in reports.items()
                                        if isinstance(report, RunningRelease)})  # fmt: skip
        if not names:
            self.log.info("Every node serves %s already, and the schema stays", run.cloud.source)
            return []
        restore = session.begin()
        session.record(began=restore.began, replaced=restore.replaced)
        cut = session.outage.stop(names)
        self.log.info("Nobody serves: %s stopped, %d sessions cut", ", ".join(names), cut)
        return names

    def _to_stop(self, session: RestoreSession, reports: dict[str, RunningRelease]) -> list[str]:
        if session.section()["swap_needed"]:
            return list(reports)
        servers = session.outage.servers
        return [
            name
            for name, report in reports.items()
            if not report.serves(session.cloud.source)
            or not servers.serving([session.cloud.node(name).server])
        ]
