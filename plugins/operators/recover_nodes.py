"""Bring back the nodes that an interrupted run left out of rotation."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from hooks.cycle_parts import node_cycle
from hooks.page_links import StatisticsLink
from hooks.rollout_run import RolloutRun
from hooks.rotation import Rotation
from hooks.servers_out import ServersOut
from operators.rollout_operator import RolloutOperator
from rollout.node_cycle import CycleFailed


class RecoverNodesOperator(RolloutOperator):
    """Restore full capacity before anything else: only servers that an upgrade marked as out."""

    operator_extra_links = (StatisticsLink(),)

    def run_step(self, run: RolloutRun, context: Any) -> list[str]:
        """Return what was done; AirflowFailException names the nodes that stay out."""
        StatisticsLink().show_cloud(self, context, run.cloud)
        marks, rotation = ServersOut(run.cloud), Rotation(run.cloud)
        done, problems = [], []
        for node in run.cloud.nodes:
            if node.server not in marks.all():
                continue
            if rotation.is_serving(node.server):
                marks.clear(node.server)
                continue
            try:
                done.append(node_cycle(run, node).recover())
            except CycleFailed as error:
                problems.append(str(error))
        for text in done:
            self.log.warning(text)
            run.directory.record("recovered", text=text)
        if problems:
            raise AirflowFailException("\n- ".join([*problems]))
        self.log.info("%d node(s) brought back", len(done))
        return done
