"""Take a server out of every load balancer of a cloud, and put it back."""

from __future__ import annotations

import time
from collections.abc import Iterator

from hooks.haproxy_runtime import HaproxyError, HaproxyRuntimeHook, ServerState
from rollout.cloud import Cloud


class Rotation:
    """Handle one server on all HAProxy instances as if they were one (rollout.node_cycle)."""

    def __init__(self, cloud: Cloud) -> None:
        self.limits = cloud.limits.node
        self.balancers = [
            HaproxyRuntimeHook(balancer.connection, balancer.backend)
            for balancer in cloud.load_balancers
        ]

    def check_capacity(self, server: str) -> None:
        """Refuse to take a server out unless every other one serves, on every balancer."""
        for balancer in self.balancers:
            others = [state for name, state in balancer.servers().items() if name != server]
            missing = [str(state) for state in others if not state.serving]
            if missing or len(others) < self.limits.min_ready_servers:
                raise HaproxyError(
                    f"{server} is not drained, capacity would be too small on {balancer.conn_id}: "
                    f"measured {len(others) - len(missing)} other servers ready and UP, limit all "
                    f"{len(others)} and at least {self.limits.min_ready_servers}. "
                    f"Not serving: {'; '.join(missing) or 'none'}. Next: bring them back first"
                )

    def drain(self, server: str) -> None:
        """Send no new requests to the server."""
        self._set(server, "drain")

    def maint(self, server: str) -> None:
        """Take the server out, health checks included."""
        self._set(server, "maint")

    def ready(self, server: str) -> None:
        """Let the server serve again as soon as its health check succeeds."""
        self._set(server, "ready")

    def wait_no_sessions(self, server: str) -> None:
        """Wait until no balancer has a session with the server."""
        for balancer in self.balancers:
            balancer.wait(
                server, "0 sessions", lambda state: state.sessions == 0, self.limits.drain_seconds
            )

    def wait_up(self, server: str) -> None:
        """Wait until the server is UP everywhere, and stays so."""
        for balancer in self.balancers:
            balancer.wait(
                server, "ready and UP", lambda state: state.serving, self.limits.up_seconds
            )
        end = time.monotonic() + self.limits.stable_seconds
        while time.monotonic() < end:
            for state in self._states(server):
                if not state.serving:
                    raise HaproxyError(f"{server} did not stay UP: measured {state}")
            time.sleep(0.5)

    def is_serving(self, server: str) -> bool:
        """Tell whether every balancer sends requests to the server."""
        return all(state.serving for state in self._states(server))

    def _states(self, server: str) -> Iterator[ServerState]:
        return (balancer.server(server) for balancer in self.balancers)

    def _set(self, server: str, state: str) -> None:
        for balancer in self.balancers:
            balancer.set_state(server, state)
