"""The lab's machines, addresses and ports. Everything is published on 127.0.0.1 only."""

from dataclasses import dataclass

from machine import network
from machine.engine import LABEL

HOST = network.HOST
PROJECT = "keystone-rollout"
NETWORK = f"{PROJECT}-lab"
LABELS = {LABEL: "lab"}
NODE_ACCOUNT = "rollout"
DATABASE_PORT = 3307
HAPROXY_PORT = 9999
STATISTICS_PORT = 8404
PUBLIC_PORT = 5000
PUBLIC_URL = f"http://{HOST}:{PUBLIC_PORT}/v3"
BACKEND = "keystone"
DATABASE = "keystone"
ADMIN = "rollout_admin"
READER = "rollout_reader"


@dataclass(frozen=True)
class Node:
    """One Keystone node."""

    name: str
    ssh_port: int
    api_port: int

    @property
    def container(self) -> str:
        """Return the name of the node's container."""
        return f"{PROJECT}-{self.name}"

    @property
    def url(self) -> str:
        """Return the node's own API, past HAProxy."""
        return f"http://{HOST}:{self.api_port}/v3"


NODES = tuple(Node(f"keystone-{n}", 2200 + n, 5000 + n) for n in (1, 2, 3))
DATABASE_CONTAINER = f"{PROJECT}-database"
MEMCACHED = "memcached"
MEMCACHED_TARGET = "memcached-target"
"""Idle, unless the releases of an upgrade cannot share one."""

MEMCACHED_CONTAINERS = tuple(f"{PROJECT}-{name}" for name in (MEMCACHED, MEMCACHED_TARGET))

PORTS = {
    PUBLIC_PORT: "HAProxy frontend of Keystone",
    STATISTICS_PORT: "HAProxy statistics page",
    HAPROXY_PORT: "HAProxy runtime API",
    DATABASE_PORT: "MariaDB",
    **{node.ssh_port: f"SSH of {node.name}" for node in NODES},
    **{node.api_port: f"Keystone of {node.name}" for node in NODES},
}
