"""Verify that nothing old is left before the point of no return."""

from __future__ import annotations

from typing import Any

from keystone_rollout.procedures.node.verdicts import after_rollback, before_contract, verify_nodes
from keystone_rollout.procedures.run.gate import open_gate, settle
from keystone_rollout.procedures.run.run import RolloutRun
from keystone_rollout.web.links import StatisticsLink
from operators.rollout_operator import RolloutOperator


class VerifyNodesOperator(RolloutOperator):
    """Ask every node and every server for its release, and let tokens cross between all.

    :param back: whether the source release is expected (after a rollback), not the target
    """

    operator_extra_links = (StatisticsLink(),)

    def __init__(self, *, back: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.back = back

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Fail where one node or server is not known to run the expected release."""
        StatisticsLink().show_cloud(self, context, run.cloud)
        open_gate(run, "before verifying nodes")
        expected = after_rollback(run.cloud) if self.back else before_contract(run.cloud)
        settle(run, "all nodes", verify_nodes(run.cloud, expected))
