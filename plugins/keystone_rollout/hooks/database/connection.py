"""Connect to the cloud's database: Airflow's hook, with the trust of the cloud file."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.providers.mysql.hooks.mysql import MySqlHook
from airflow.sdk import Connection

from keystone_rollout.domain.cloud.tls import SYSTEM_TRUST, Tls, database_refusal
from keystone_rollout.hooks.trust.certificates import TrustError
from keystone_rollout.hooks.trust.databases import database_peer, is_refusal, trusting


class DatabaseHook(MySqlHook):
    """A database connection of Airflow's, trusted as section `tls` says.

    :param conn_id: connection with host, port, login and password
    :param tls: section `tls` of the cloud file
    :param schema: schema to connect to; by default the connection's
    """

    def __init__(self, conn_id: str, tls: Tls = SYSTEM_TRUST, schema: str | None = None) -> None:
        super().__init__(mysql_conn_id=conn_id, schema=schema)
        self.tls = tls

    @cached_property
    def connection(self) -> Connection:  # type: ignore[override]
        """Return the connection with what its driver has to verify; TrustError if it cannot."""
        return trusting(self.get_connection(self.get_conn_id()), self.tls)

    def get_conn(self) -> Any:
        """Connect; TrustError says why a certificate was refused."""
        try:
            return super().get_conn()
        except Exception as error:
            peer = database_peer(self.connection, self.tls)
            if peer is None or not is_refusal(error):
                raise
            raise TrustError(str(database_refusal(peer, str(error)))) from error
