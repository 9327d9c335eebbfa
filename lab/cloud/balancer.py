"""The lab's HAProxy, read and set without Airflow."""

from keystone_rollout.domain.node.server import ServerState
from keystone_rollout.hooks.haproxy.api import (
    HaproxyError,
    RuntimeApi,
    TcpDoor,
)
from lab.topology import BACKEND, HAPROXY_PORT, HOST
from machine.errors import CommandError

_API = RuntimeApi("of the lab", TcpDoor(lambda: (HOST, HAPROXY_PORT)), BACKEND)


def command(text: str) -> str:
    """Send one command to the runtime API and return the answer; CommandError if none comes."""
    try:
        return _API.command(text)
    except HaproxyError as error:
        raise CommandError(str(error)) from error


def servers() -> list[ServerState]:
    """Return the backend's servers as they are now; CommandError if HAProxy does not say so."""
    try:
        return list(_API.servers().values())
    except HaproxyError as error:
        raise CommandError(str(error)) from error
