"""Bring back the nodes that were left out of rotation: before an upgrade begins, and at its end."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from keystone_rollout.procedures.node.left_out import NodesStayOut, bring_back
from keystone_rollout.procedures.run.run import RolloutRun
from keystone_rollout.web.links import StatisticsLink
from operators.rollout_operator import RolloutOperator


class RecoverNodesOperator(RolloutOperator):
    """Restore full capacity: only servers that an upgrade marked as out.

    At the start that is what a killed run left. At the end it is the node of a task that was
    stopped or marked as failed: Airflow kills a task that does not end within seconds.
    """

    operator_extra_links = (StatisticsLink(),)

    def run_step(self, run: RolloutRun, context: Any) -> list[str]:
        """Return what was done; AirflowFailException names the nodes that stay out."""
        StatisticsLink().show_cloud(self, context, run.cloud)
        try:
            done = bring_back(run)
        except NodesStayOut as error:
            raise AirflowFailException(str(error)) from error
        self.log.info("%d node(s) brought back", len(done))
        return done
