"""Keep each restore in the cloud's own database, so that any later run can resume it."""

from __future__ import annotations

from pydantic import TypeAdapter

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.recovery.restore import Downtime, OpenRestore
from keystone_rollout.domain.run.events import RestoreOutcome
from keystone_rollout.domain.schema.difference import Difference, TableDifference
from keystone_rollout.hooks.database.own_schema import RolloutTable

_LOST = TypeAdapter(tuple[TableDifference, ...])


class RestoreHistory:
    """The restores of one cloud's schema."""

    def __init__(self, cloud: Cloud) -> None:
        self.live = cloud.databases.schema_name
        self.table = RolloutTable(cloud, "schema_restore")

    def open(self) -> OpenRestore | None:
        """Return the newest restore that has not finished, or None."""
        rows = self.table.rows("select_open_restore", live=self.live)
        if not rows:
            return None
        replaced, backup, began, swapped, lost, served, ended = rows[0]
        return OpenRestore(
            replaced=str(replaced),
            backup=str(backup),
            began=float(began),
            swapped=None if swapped is None else float(swapped),
            lost=None if lost is None else Difference(_LOST.validate_json(lost)),
            served=None if served is None else float(served),
            ended=None if ended is None else float(ended),
        )

    def last_downtime(self) -> Downtime | None:
        """Return the last measured downtime; None without one."""
        rows = self.table.rows("select_last_downtime", live=self.live)
        if not rows or None in rows[0]:
            return None
        began, served, ended = (float(each) for each in rows[0])
        return Downtime(served - began, ended - began)

    def begin(self, replaced: str, backup: str, run_id: str, began: float) -> None:
        """Open a restore, because the first server leaves now."""
        self.table.write("insert_schema_restore", replaced=replaced, live=self.live, backup=backup,
                         run_id=run_id, began=began)  # fmt: skip

    def keep_lost(self, replaced: str, lost: Difference) -> None:
        """Record the number of writes that moving the tables undoes."""
        tables = _LOST.dump_json(lost.tables).decode()
        self.table.write("update_restore_lost", replaced=replaced, lost=tables)

    def keep_swapped(self, replaced: str, at: float) -> None:
        """Record the time at which the tables were moved; the first time counts."""
        self.table.write("update_restore_swapped", replaced=replaced, at=at)

    def keep_served(self, replaced: str, at: float) -> None:
        """Record the time at which a server serves again; the first time counts."""
        self.table.write("update_restore_served", replaced=replaced, at=at)

    def keep_ended(self, replaced: str, at: float) -> None:
        """Record the time at which all servers serve again; the first time counts."""
        self.table.write("update_restore_ended", replaced=replaced, at=at)

    def close(self, replaced: str, outcome: RestoreOutcome) -> None:
        """Record the outcome of a restore; no later run resumes it."""
        self.table.write("update_restore_outcome", replaced=replaced, outcome=outcome)
