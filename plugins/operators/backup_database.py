"""Back the database up, and prove that the backup restores."""

from __future__ import annotations

from typing import Any

from hooks.cloud_file import project_path
from hooks.database_backup import DatabaseBackup
from hooks.gate import settle
from hooks.rollout_run import RolloutRun
from operators.rollout_operator import RolloutOperator


class BackupDatabaseOperator(RolloutOperator):
    """Dump, restore into a scratch schema, and compare table by table."""

    def run_step(self, run: RolloutRun, context: Any) -> str:
        """Return the dump's path; fail where what was restored is not what was there."""
        folder = project_path(run.cloud.backup_directory)
        path, verdict = DatabaseBackup(run.cloud, folder).verify(run.directory.path.name)
        run.directory.record("backup", path=str(path), bytes=path.stat().st_size)
        settle(run, "backup", [verdict])
        return str(path)
