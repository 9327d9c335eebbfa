"""Keep requests from failing with error 1412 while contract changes the tables that they read.

Under REPEATABLE READ a transaction reads from a snapshot, and a table whose definition is newer
than the snapshot cannot be read from it. Under READ COMMITTED every statement has a new snapshot.

A global value holds for sessions that begin after it is set; those in the nodes' pools keep theirs.
That is enough: every node is restarted with the new release, and so with a new pool, before
contract, the phase that fails requests. Nodes keep the window's value after it, until their pools
renew their sessions: their transactions were made for either.
"""

from __future__ import annotations

from keystone_rollout.hooks.database.saved_variable import SavedVariable


class ReadCommitted(SavedVariable):
    """Hold the server's transaction isolation at READ COMMITTED, where the hop needs it."""

    names = ("transaction_isolation", "tx_isolation")
    wanted = "READ-COMMITTED"
    consequence = (
        "requests would fail with error 1412 when contract changes the tables that they read, so "
        "the phase was not started"
    )

    @property
    def needed(self) -> bool:
        """Tell whether the cloud file, or the hop, asks for it."""
        return self.cloud.holds_read_committed

    def set(self, run_id: str) -> str:
        """Set it; RuntimeError where the server's binary log would then refuse every write."""
        if self._read("log_bin") == "1" and self._read("binlog_format") == "STATEMENT":
            raise RuntimeError(
                f"{self.name} on {self.database.server()} was not set: measured binlog_format "
                "STATEMENT, allowed are MIXED and ROW. Under READ COMMITTED every write of "
                "Keystone would fail with error 1665. Next: set binlog_format to MIXED, or "
                "read_committed to never in the cloud file, which accepts failed requests during "
                "contract"
            )
        return super().set(run_id)
