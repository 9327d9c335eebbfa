"""Take a server out of every load balancer of a cloud, and put it back."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.hooks.haproxy.runtime import HaproxyError, HaproxyRuntimeHook, ServerState

log = logging.getLogger(__name__)


class Rotation:
    """Handle one server on all HAProxy instances as if they were one (domain.node.cycle)."""

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
                    f"{server} is not taken out, capacity would be too small on "
                    f"{balancer.conn_id}: measured {len(others) - len(missing)} other servers "
                    f"ready and UP, limit all {len(others)} and at least "
                    f"{self.limits.min_ready_servers}. Not serving: "
                    f"{'; '.join(missing) or 'none'}. Next: bring them back first"
                )

    def drain(self, server: str) -> None:
        """Send no new requests to the server."""
        self._set(server, "drain")

    def maint(self, server: str) -> None:
        """Take the server out, health checks included."""
        self._set(server, "maint")

    def ready(self, server: str) -> None:
        """Let the server serve again as soon as its health check succeeds.

        A balancer that does not answer is asked again for limits.node.up_seconds: it may be
        reloading, and giving up would leave a good server out.
        """
        end = time.monotonic() + self.limits.up_seconds
        while True:
            try:
                self._set(server, "ready")
                return
            except HaproxyError as error:
                if time.monotonic() > end:
                    raise
                log.warning("%s is not ready yet, trying again: %s", server, error)
                time.sleep(1)

    def wait_no_sessions(self, server: str) -> None:
        """Wait until no balancer has a session with the server.

        After limits.node.drain_seconds it is a HaproxyError, unless the cloud file allows to cut
        the sessions that are left.
        """
        for balancer in self.balancers:
            try:
                balancer.wait(
                    server, "0 sessions", lambda state: state.sessions == 0,
                    self.limits.drain_seconds,
                )  # fmt: skip
            except HaproxyError as error:
                if not self.limits.cut_sessions:
                    raise
                log.warning("%s. They are cut, as limits.node.cut_sessions allows", error)
                balancer.cut_sessions(server)

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
