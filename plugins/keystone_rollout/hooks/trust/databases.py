"""Give the database's drivers and command line programs the trust of the cloud file."""

from __future__ import annotations

import copy
import json
import ssl
from typing import Any

from airflow.sdk import Connection

from keystone_rollout.domain.cloud.tls import SYSTEM_TRUST, Peer, Tls
from keystone_rollout.hooks.trust.certificates import TrustError, ca_file

DATABASE_PORT = 3306
NO_TLS = ("DISABLED", "PREFERRED")
ASK_FOR_TLS = ("ssl", "ssl_mode", "ssl_ca", "ssl_verify_cert", "ssl_verify_identity")
"""Keys of a connection's extra that ask for TLS; what they say about trust is replaced."""
TLS_ERROR = 2026
"""CR_SSL_CONNECTION_ERROR, which clients in C give; those in Python hide the library's own."""


def database_address(connection: Connection) -> str:
    """Return host:port of a database, as `tls.addresses` names it."""
    return SYSTEM_TRUST.peer(connection.host or "", connection.port or DATABASE_PORT).address


def database_peer(connection: Connection, tls: Tls) -> Peer | None:
    """Return what is trusted at a database that is spoken to with TLS; None if it is not asked for.

    TLS is asked for by naming host:port in tls.addresses, or by the connection's extra. Clients
    compare the certificate with the host they connect to: another name is a TrustError.
    """
    host, port = connection.host or "", connection.port or DATABASE_PORT
    extra = connection.extra_dejson
    asked = any(extra.get(key) for key in ASK_FOR_TLS)
    if not tls.names(host, port) and (not asked or extra.get("ssl_mode") in NO_TLS):
        return None
    peer = tls.peer(host, port)
    if peer.verified and peer.name != peer.host:
        raise TrustError(
            f"tls.addresses expects the name {peer.name} of the database {peer.address}, and a "
            f"database's clients compare its certificate with {peer.host} only. Nothing was sent. "
            f"Next: make {peer.name} the host of connection {connection.conn_id} and of the "
            "address (in DNS or /etc/hosts), without `name`"
        )
    return peer


def trusting(connection: Connection, tls: Tls) -> Connection:
    """Return the connection with a driver's arguments for TLS; itself if it is not asked for."""
    peer = database_peer(connection, tls)
    if peer is None:
        return connection
    extra = connection.extra_dejson
    own = extra.pop("ssl", None) or {}
    kept = {key: value for key, value in extra.items() if key not in (*ASK_FOR_TLS, "ssl_disabled")}
    changed = copy.copy(connection)
    if extra.get("client", "mysqlclient") == "mysqlclient":
        own = json.loads(own) if isinstance(own, str) else own
        kept |= _for_mysqlclient(peer, own)
    else:
        kept |= _for_connector(peer)
    changed.extra = json.dumps(kept)
    return changed


def _for_mysqlclient(peer: Peer, own: dict[str, Any]) -> dict[str, Any]:
    identity = {key: own[key] for key in ("cert", "key") if key in own}
    if not peer.verified:
        return {"ssl": identity, "ssl_mode": "REQUIRED"}
    return {"ssl": {**identity, "ca": ca_file(peer)}, "ssl_mode": "VERIFY_IDENTITY"}


def _for_connector(peer: Peer) -> dict[str, Any]:
    if not peer.verified:
        return {"ssl_verify_cert": False, "ssl_verify_identity": False}
    return {"ssl_ca": ca_file(peer), "ssl_verify_cert": True, "ssl_verify_identity": True}


def is_refusal(error: BaseException) -> bool:
    """Tell whether a driver's error is that TLS could not be agreed on."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError) or cause.args[:1] == (TLS_ERROR,):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def client_options(connection: Connection, tls: Tls) -> str:
    """Return the lines for [client] of an option file; empty if TLS is not asked for.

    MariaDB's programs and MySQL's know options of their own: `loose-` has each skip the other's.
    """
    peer = database_peer(connection, tls)
    if peer is None:
        return ""
    if not peer.verified:
        return "loose-ssl=1\nloose-ssl-verify-server-cert=0\nloose-ssl-mode=REQUIRED\n"
    return (
        f'ssl-ca="{ca_file(peer)}"\nloose-ssl=1\nloose-ssl-verify-server-cert=1\n'
        "loose-ssl-mode=VERIFY_IDENTITY\n"
    )
