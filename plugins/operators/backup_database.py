"""Back the database up, and prove that the backup restores."""

from __future__ import annotations

import time
from typing import Any

from hooks.all_nodes import AllNodes, report_in_words
from hooks.backup_store import BackupStore
from hooks.database_backup import DatabaseBackup
from hooks.gate import settle
from hooks.rollout_run import RolloutRun
from operators.rollout_operator import RolloutOperator
from rollout.backup_facts import BackupFacts


class BackupDatabaseOperator(RolloutOperator):
    """Dump, restore into a scratch schema, compare table by table, and say what it is good for."""

    def run_step(self, run: RolloutRun, context: Any) -> str:
        """Return the dump's path; fail where what was restored is not what was there."""
        cloud, store = run.cloud, BackupStore(run.cloud)
        # Asked now and not taken from the plan: a task that is cleared later finds another truth.
        nodes = {name: report_in_words(each) for name, each in AllNodes(cloud).reports().items()}
        name, taken = store.free_name(run.directory.path.name), time.time()
        path, verdict = DatabaseBackup(cloud, store.folder).verify(name)
        run.directory.record("backup", path=str(path), bytes=path.stat().st_size)
        settle(run, "backup", [verdict])
        facts = BackupFacts(cloud.name, cloud.databases.schema_name, taken, nodes)
        store.describe(path, facts)
        return str(path)
