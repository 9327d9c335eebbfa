"""Reach the HAProxy instances of a cloud through Airflow's connections."""

from __future__ import annotations

from functools import cached_property

from airflow.sdk import BaseHook

from keystone_rollout.domain.clock import Clock
from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK
from keystone_rollout.hooks.haproxy.api import TIMEOUT, RuntimeApi, TcpDoor


class HaproxyRuntimeHook(RuntimeApi, BaseHook):
    """The runtime API that a connection names.

    :param conn_id: connection with host and port of the runtime API (level admin)
    :param backend: backend that holds the Keystone servers
    """

    def __init__(
        self, conn_id: str, backend: str, timeout: float = TIMEOUT, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        super().__init__(conn_id, TcpDoor(lambda: self.address, timeout), backend, clock)
        self.conn_id = conn_id

    @cached_property
    def address(self) -> tuple[str, int]:
        """Return host and port, looked up once: a node must not stay out because of a lookup."""
        connection = self.get_connection(self.conn_id)
        return connection.host or "", connection.port or 0


def balancers(cloud: Cloud, clock: Clock = SYSTEM_CLOCK) -> dict[str, HaproxyRuntimeHook]:
    """Return a hook for each HAProxy of a cloud, by its name in the cloud file."""
    return {
        balancer.name: HaproxyRuntimeHook(
            balancer.connection, balancer.backend, cloud.limits.connect_seconds, clock
        )
        for balancer in cloud.load_balancers
    }
