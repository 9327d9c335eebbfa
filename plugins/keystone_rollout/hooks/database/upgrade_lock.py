"""Hold the lock of a cloud: one upgrade at a time, across Airflow installations and people."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.run.lock import LockHolder, judge_lock
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.database.own_schema import RolloutTable

# GET_LOCK would end with its connection, but a run spans many processes: so a row.


class UpgradeLock:
    """The lock's row of one cloud; taken, renewed, broken and released in one statement each."""

    def __init__(self, cloud: Cloud, run_id: str, break_run: str = "") -> None:
        self.cloud = cloud
        self.run_id = run_id
        self.break_run = break_run
        self.row = RolloutTable(cloud, "upgrade_lock")

    def holder(self) -> LockHolder | None:
        """Return the holder of the lock, or None if it is free."""
        rows = self.row.rows("select_upgrade_lock")
        if not rows:
            return None
        run_id, place, since, silent = rows[0]
        return LockHolder(str(run_id), str(place), str(since), int(silent))

    def judge(self) -> Verdict:
        """Judge whether this run has the lock or may take it."""
        return self._judge(self.holder())

    def _judge(self, holder: LockHolder | None) -> Verdict:
        return judge_lock(
            self.cloud.name, holder, self.run_id, self.break_run,
            self.cloud.limits.lock_stale_seconds,
        )  # fmt: skip

    def take(self) -> tuple[Verdict, LockHolder | None]:
        """Take the lock if it may be had; return the verdict, and the run that was broken.

        Of two runs that try at the same moment one finds the other's row.
        """
        holder = self.holder()
        verdict = self._judge(holder)
        if not verdict.ok or (holder and holder.run_id == self.run_id):
            return verdict, None
        if holder is None:
            self.row.write("insert_upgrade_lock", run_id=self.run_id, place=_place())
        else:
            self.row.write(
                "break_upgrade_lock", run_id=self.run_id, place=_place(), broken=holder.run_id,
                stale_seconds=self.cloud.limits.lock_stale_seconds,
            )  # fmt: skip
        return self.judge(), holder

    def keep_alive(self) -> None:
        """Renew the heartbeat, if the lock is this run's."""
        self.row.write("update_lock_heartbeat", run_id=self.run_id)

    def release(self) -> bool:
        """Release the lock; return whether it was this run's."""
        holder = self.holder()
        if holder is None or holder.run_id != self.run_id:
            return False
        self.row.write("delete_upgrade_lock", run_id=self.run_id)
        return True


def _place() -> str:
    home = os.environ.get("AIRFLOW_HOME", str(Path.home() / "airflow"))
    return f"{socket.gethostname()}:{home}"
