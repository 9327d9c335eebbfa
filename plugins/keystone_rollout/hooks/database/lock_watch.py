"""Watch, beside a running migration, the queries that wait for a metadata lock."""

from __future__ import annotations

import logging
import threading
from typing import Any, Self

from keystone_rollout.domain.clock import Clock
from keystone_rollout.domain.schema.lock_waits import LockWaits, OpenTransaction, WaitingQuery
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK
from keystone_rollout.hooks.database.keystone import (
    SEE_SESSIONS,
    KeystoneDatabase,
    has_global_right,
    text,
)
from keystone_rollout.hooks.database.sql import sql

POLL_SECONDS = 0.5
STOP_SECONDS = 10.0
"""A poll that takes longer is given up, and the check has failed."""

log = logging.getLogger(__name__)


class LockWatchError(RuntimeError):
    """Why waiting clients would not be seen; the phase is not started then."""


class LockWatch:
    """A thread that polls the server's sessions over a connection of its own.

    It is a context manager: ``waits`` is complete once the block is left.
    """

    def __init__(
        self,
        database: KeystoneDatabase,
        phase: str,
        lock_wait_timeout: int,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.clock = clock
        self.waits = LockWaits(phase, lock_wait_timeout)
        self.admin, self.schema = database.administrator, database.schema
        self._connection: Any = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"lock-watch-{phase}", daemon=True)

    def __enter__(self) -> Self:
        """Connect and begin; LockWatchError if other sessions cannot be seen."""
        if not has_global_right(self.admin, SEE_SESSIONS):
            raise LockWatchError(
                f"connection {self.admin.get_conn_id()} does not see other accounts' sessions: "
                "measured no PROCESS privilege, needed is PROCESS on *.*. Nobody would notice "
                f"clients that queue, so {self.waits.phase} was not started. Next: grant it"
            )
        try:
            self._connection = self.admin.get_conn()
            self.admin.set_autocommit(self._connection, True)
            self._poll()
        except Exception as error:
            raise LockWatchError(
                f"the sessions of connection {self.admin.get_conn_id()} cannot be watched: {error}"
                ". Nobody would notice clients that queue. Next: repair it, then start again"
            ) from error
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the thread and close the connection, however the block ended."""
        self._stop.set()
        self._thread.join(STOP_SECONDS)
        if self._thread.is_alive():
            self.waits.lose_sight(f"a poll did not end within {STOP_SECONDS:g} s")
            return
        self._connection.close()

    def _watch(self) -> None:
        while not self._stop.wait(POLL_SECONDS) and self._look():
            pass
        self._look()  # once more, because a query may still wait after the migration's end

    def _look(self) -> bool:
        """Poll once; return False if the sessions cannot be read any more."""
        if self.waits.blind is not None:
            return False
        try:
            self._poll()
        except Exception as error:
            self.waits.lose_sight(f"poll {self.waits.polls + 1} failed: {error}")
            log.error("%s: metadata locks are not watched any more: %s", self.waits.phase, error)
            return False
        return True

    def _poll(self) -> None:
        waiting = [
            WaitingQuery(int(thread), float(seconds or 0), text(statement or ""))
            for thread, seconds, statement in self._rows("select_metadata_lock_waits")
        ]
        transactions = [
            OpenTransaction(int(thread), text(user), float(seconds or 0))
            for thread, user, seconds in (self._rows("select_open_transactions") if waiting else [])
        ]
        line = self.waits.look(self.clock.elapsed(), waiting, transactions)
        if line:
            log.warning(line)

    def _rows(self, question: str) -> list[Any]:
        cursor = self._connection.cursor()
        try:
            with self.admin.answering():
                cursor.execute(sql(question), {"schema": self.schema})
                return list(cursor.fetchall())
        finally:
            cursor.close()
