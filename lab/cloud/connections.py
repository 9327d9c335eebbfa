"""Airflow connections to the lab, for ``LocalFilesystemBackend``."""

from typing import Any

import yaml

from lab import paths
from lab.cloud.keys import public_key
from lab.cloud.secrets import Secrets
from lab.topology import (
    ADMIN,
    DATABASE,
    DATABASE_PORT,
    HAPROXY_PORT,
    HOST,
    NODE_ACCOUNT,
    NODES,
    PUBLIC_URL,
    READER,
)
from machine.files import write_private

Connection = dict[str, Any]


def write_connections(secrets: Secrets) -> None:
    """Write ``.lab/connections.yaml``, readable by its owner alone."""
    text = yaml.safe_dump(all_connections(secrets), sort_keys=False)
    write_private(paths.CONNECTIONS, text)


def all_connections(secrets: Secrets) -> dict[str, Connection]:
    """Return every connection of the lab by its id."""
    connections = {f"lab_{node.name.replace('-', '_')}": _ssh(node.name) for node in NODES}
    connections["lab_haproxy"] = {"conn_type": "generic", "host": HOST, "port": HAPROXY_PORT}
    connections["lab_database_admin"] = _database(ADMIN, secrets.database_admin, None)
    connections["lab_database_reader"] = _database(READER, secrets.database_reader, DATABASE)
    connections["lab_database_keystone"] = _database(
        "keystone", secrets.database_keystone, DATABASE
    )
    connections["lab_keystone_api"] = {
        "conn_type": "generic",
        "host": PUBLIC_URL,
        "login": "admin",
        "password": secrets.keystone_admin,
        "extra": {
            "user_domain_name": "Default",
            "project_name": "admin",
            "project_domain_name": "Default",
        },
    }
    return connections


def _ssh(name: str) -> Connection:
    """Return the SSH connection of node *name*, pinned to its host key."""
    node = next(node for node in NODES if node.name == name)
    return {
        "conn_type": "ssh",
        "host": HOST,
        "port": node.ssh_port,
        "login": NODE_ACCOUNT,
        "extra": {
            "key_file": str(paths.CLIENT_KEY),
            "host_key": public_key(name),
            "no_host_key_check": False,
            "conn_timeout": 10,
        },
    }


def _database(login: str, password: str, schema: str | None) -> Connection:
    """Return a connection to MariaDB as *login*."""
    connection: Connection = {
        "conn_type": "mysql",
        "host": HOST,
        "port": DATABASE_PORT,
        "login": login,
        "password": password,
        "extra": {"client": "mysql-connector-python"},
    }
    if schema is not None:
        connection["schema"] = schema
    return connection
