"""Hold the lock of a cloud: one upgrade at a time, across Airflow installations and people."""

from __future__ import annotations

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.run.lock import LockHolder, RunIdentity, judge_lock
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.database.keystone import text
from keystone_rollout.hooks.database.own_schema import RolloutTable
from keystone_rollout.hooks.files.run_identity import place

# GET_LOCK would end with its connection, but a run spans many processes: so a row.


class UpgradeLock:
    """The lock's row of one cloud; taken, renewed, broken and released in one statement each."""

    def __init__(self, cloud: Cloud, run: RunIdentity, break_run: str = "") -> None:
        self.cloud = cloud
        self.run = run
        self.break_run = break_run
        self.row = RolloutTable(cloud, "upgrade_lock", newest="token")

    def holder(self) -> LockHolder | None:
        """Return the holder of the lock, or None if it is free."""
        rows = self.row.rows("select_upgrade_lock")
        if not rows:
            return None
        # An earlier version's table ends before DAG and token.
        silent, _cloud, run_id, place, since, _heartbeat, *newer = rows[0]
        return LockHolder(
            str(run_id), str(place), str(since), int(silent), *(text(each) for each in newer)
        )

    def judge(self) -> Verdict:
        """Judge whether this run has the lock or may take it."""
        return self._judge(self.holder())

    def _judge(self, holder: LockHolder | None) -> Verdict:
        return judge_lock(
            self.cloud.name, holder, self.run, self.break_run,
            self.cloud.limits.lock_stale_seconds,
        )  # fmt: skip

    def take(self) -> tuple[Verdict, LockHolder | None]:
        """Take the lock if it may be had; return the verdict, and the run that was broken.

        Of two runs that try at the same moment one finds the other's row.
        """
        holder = self.holder()
        verdict = self._judge(holder)
        if not verdict.ok or (holder and holder.is_run(self.run)):
            return verdict, None
        if holder is None:
            self.row.write("insert_upgrade_lock", **self._own())
        else:
            self.row.write(
                "break_upgrade_lock", **self._own(), broken=holder.run_id,
                broken_token=holder.token, stale_seconds=self.cloud.limits.lock_stale_seconds,
            )  # fmt: skip
        return self.judge(), holder

    def keep_alive(self) -> None:
        """Renew the heartbeat, if the lock is this run's."""
        self.row.write("update_lock_heartbeat", **self._key())

    def release(self) -> bool:
        """Release the lock; return whether it was this run's."""
        holder = self.holder()
        if holder is None or not holder.is_run(self.run):
            return False
        self.row.write("delete_upgrade_lock", **self._key())
        return True

    def _own(self) -> dict[str, str]:
        # The place of now: a run's tasks may have come to another host.
        return {**self._key(), "place": place(), "dag": self.run.dag}

    def _key(self) -> dict[str, str]:
        return {"run_id": self.run.run_id, "token": self.run.token}
