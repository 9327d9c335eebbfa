"""Connect to the cloud's database: Airflow's hook, with the cloud file's trust and limits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Literal

from airflow.providers.mysql.hooks.mysql import MySqlHook
from airflow.sdk import Connection

from keystone_rollout.domain.clock import Clock
from keystone_rollout.domain.cloud.model import Limits
from keystone_rollout.domain.cloud.tls import SYSTEM_TRUST, Tls, database_refusal
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK
from keystone_rollout.hooks.trust.certificates import TrustError
from keystone_rollout.hooks.trust.databases import (
    database_address,
    database_peer,
    is_refusal,
    trusting,
)

DEFAULT_LIMITS = Limits()
EARLY = 0.9
"""Part of a limit after which an error means it: drivers' clocks are not exactly ours."""


class DatabaseSilent(RuntimeError):
    """A database that did not answer within a limit of the cloud file."""


class DatabaseHook(MySqlHook):
    """A database connection of Airflow's, trusted as section `tls` says.

    Without limits of its own a driver waits for ever for a server that has taken the connection.

    :param conn_id: connection with host, port, login and password
    :param tls: section `tls` of the cloud file
    :param schema: schema to connect to; by default the connection's
    :param limits: section `limits` of the cloud file
    :param patience: the limit within which a statement has to be answered
    """

    def __init__(
        self,
        conn_id: str,
        tls: Tls = SYSTEM_TRUST,
        schema: str | None = None,
        limits: Limits = DEFAULT_LIMITS,
        clock: Clock = SYSTEM_CLOCK,
        patience: Literal["statement_seconds", "answer_seconds"] = "statement_seconds",
    ) -> None:
        super().__init__(mysql_conn_id=conn_id, schema=schema)
        self.tls = tls
        self.limits = limits
        self.clock = clock
        self.patience = patience

    @cached_property
    def connection(self) -> Connection:  # type: ignore[override]
        """Return the connection with what its driver has to verify; TrustError if it cannot."""
        return trusting(self.get_connection(self.get_conn_id()), self.tls)

    def get_conn(self) -> Any:
        """Connect; TrustError says why a certificate was refused, DatabaseSilent which limit."""
        limits = self.limits
        try:
            with self._within("take a connection", "connect_seconds", limits.connect_seconds):
                return super().get_conn()
        except DatabaseSilent:
            raise
        except Exception as error:
            peer = database_peer(self.connection, self.tls)
            if peer is None or not is_refusal(error):
                raise
            raise TrustError(str(database_refusal(peer, str(error)))) from error

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Run statements as DbApiHook does; DatabaseSilent if one is not answered in time."""
        with self.answering():
            return super().run(*args, **kwargs)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Turn a driver's error about a statement that was not answered into DatabaseSilent."""
        with self._within("answer a statement", self.patience, self._seconds):
            yield

    @property
    def _seconds(self) -> int:
        return int(getattr(self.limits, self.patience))

    @contextmanager
    def _within(self, what: str, limit: str, seconds: float) -> Iterator[None]:
        began = self.clock.elapsed()
        try:
            yield
        except DatabaseSilent:
            raise
        except Exception as error:
            waited = self.clock.elapsed() - began
            if waited < EARLY * seconds or not _is_timeout(error):
                raise
            raise DatabaseSilent(
                f"database {database_address(self.connection)} (connection {self.get_conn_id()}) "
                f"did not {what}: measured {waited:.0f} s without an answer, limit {seconds:g} s "
                f"(limits.{limit}). It may still work on what it was sent last. Next: look at "
                "the server's process list and at the network between, or raise the limit, then "
                "clear this task"
            ) from error

    # The provider takes no limit from a connection's extra, for either driver.

    def _get_conn_config_mysql_client(self, conn: Connection) -> dict[str, Any]:
        config = super()._get_conn_config_mysql_client(conn)
        return {**config, "connect_timeout": self.limits.connect_seconds, **self._answers()}

    def _get_conn_config_mysql_connector_python(self, conn: Connection) -> dict[str, Any]:
        config = super()._get_conn_config_mysql_connector_python(conn)
        return {**config, "connection_timeout": self.limits.connect_seconds, **self._answers()}

    def _answers(self) -> dict[str, int]:
        return {"read_timeout": self._seconds, "write_timeout": self._seconds}


GAVE_UP = (2002, 2003, 2013)
"""Numbers of a driver's own errors: no connection, and one that ended before its answer."""


def _is_timeout(error: Exception) -> bool:
    """Tell whether a driver's error can be that it gave up waiting; the waited time says if so."""
    number = error.args[0] if error.args else None
    return "Timeout" in type(error).__name__ or number in GAVE_UP
