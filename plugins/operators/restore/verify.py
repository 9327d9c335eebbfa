"""Prove that the old release serves everywhere from the backup's tables."""

from __future__ import annotations

from typing import Any

from keystone_rollout.domain.recovery.restore import downtime_in_words, judge_versions
from keystone_rollout.domain.run.events import RestoreOutcome
from keystone_rollout.domain.schema.difference import Difference
from keystone_rollout.procedures.node.verdicts import Expectation, verify_nodes
from keystone_rollout.procedures.restore.session import RestoreSession
from keystone_rollout.procedures.run.gate import require
from keystone_rollout.procedures.run.run import RolloutRun
from operators.restore.operator import RestoreOperator


class VerifyRestoreOperator(RestoreOperator):
    """The verification of a restore: schema versions, releases, and tokens between all nodes."""

    standing = "Everything before this task is done. Next: repair, then clear this task"

    def run_step(self, run: RolloutRun, context: Any) -> None:
        """Fail if schema or nodes are not as expected; otherwise the restore is over."""
        session = RestoreSession(run)
        source = run.cloud.source
        expected = Expectation(
            source,
            f"it does not serve {source} from the restored schema",
            "repair {node}, then clear task restore_nodes",
        )
        versions = judge_versions(
            session.live.versions(), session.backup_versions(), session.live.schema
        )
        require(run, "restored", [versions, *verify_nodes(run, expected)])
        restore, section = session.history.open(), session.section()
        if restore is not None:
            session.history.close(restore.replaced, RestoreOutcome.RESTORED)
        session.record(outcome=RestoreOutcome.RESTORED)
        lost = section.lost or Difference()
        self.log.info("%s serves from %s", run.cloud.source_release, section.backup)
        self.log.info("Lost: %s", lost.sentence())
        self.log.info("Downtime: %s", downtime_in_words(section))
