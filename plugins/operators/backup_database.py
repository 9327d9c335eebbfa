"""Back the database up, and prove that the backup restores."""

from __future__ import annotations

from typing import Any

from keystone_rollout.domain.recovery.backup import BackupFacts
from keystone_rollout.domain.run.events import BackupTaken, Look
from keystone_rollout.procedures.run.gate import require
from keystone_rollout.procedures.run.run import RolloutRun
from operators.rollout_operator import RolloutOperator


class BackupDatabaseOperator(RolloutOperator):
    """A dump that is restored into a scratch schema, compared table by table, and described."""

    def run_step(self, run: RolloutRun, context: Any) -> str:
        """Return the dump's path; fail if the restored tables differ from the live ones."""
        cloud, store = run.cloud, run.backups
        # Asked now and not taken from the plan: a task that is cleared later finds another state.
        nodes = run.nodes.reports()
        name, taken = store.free_name(run.directory.path.name), run.clock.now()
        path, verdict = store.verify(name)
        run.directory.record(BackupTaken(path=str(path), bytes=path.stat().st_size))
        require(run, "backup", [verdict], Look.BACKUP)
        facts = BackupFacts(cloud.name, cloud.databases.schema_name, taken, nodes)
        store.describe(path, facts)
        return str(path)
