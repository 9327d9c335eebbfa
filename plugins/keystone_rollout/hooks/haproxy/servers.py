"""Handle a cloud's servers on all of its HAProxy instances as if these were one."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator

from keystone_rollout.domain.clock import Clock
from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.node.server import ServerState
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK
from keystone_rollout.hooks.haproxy.api import HaproxyError
from keystone_rollout.hooks.haproxy.runtime import balancers

POLL_SECONDS = 0.2

log = logging.getLogger(__name__)


class Servers:
    """The servers of a cloud, one by one for a rolling upgrade (domain.node.cycle.Rotation), and
    together for planned downtime, when no server should serve and capacity is not checked.
    """

    def __init__(self, cloud: Cloud, clock: Clock = SYSTEM_CLOCK) -> None:
        self.limits = cloud.limits.node
        self.clock = clock
        self.by_name = balancers(cloud, clock)

    def check_capacity(self, server: str) -> None:
        """Refuse to take a server out unless every other one serves, on every balancer."""
        for balancer in self.by_name.values():
            others = [state for name, state in balancer.servers().items() if name != server]
            missing = [str(state) for state in others if not state.serving]
            if missing or len(others) < self.limits.min_ready_servers:
                raise HaproxyError(
                    f"{server} is not taken out, capacity would be too small on "
                    f"{balancer.conn_id}: measured {len(others) - len(missing)} other servers "
                    f"ready and UP, limit all {len(others)} and at least "
                    f"{self.limits.min_ready_servers}. Not serving: "
                    f"{'; '.join(missing) or 'none'}. Next: return them first"
                )

    def drain(self, *servers: str) -> None:
        """Send no new requests to the servers."""
        self._set(servers, "drain")

    def maint(self, *servers: str) -> None:
        """Take the servers out, health checks included."""
        self._set(servers, "maint")

    def ready(self, server: str) -> None:
        """Return the server, which serves again as soon as its health check succeeds.

        A balancer that does not answer is asked again for limits.node.up_seconds: it may be
        reloading, and giving up would leave a good server out.
        """
        end = self.clock.elapsed() + self.limits.up_seconds
        while True:
            try:
                self._set([server], "ready")
                return
            except HaproxyError as error:
                if self.clock.elapsed() > end:
                    raise
                log.warning("%s is not ready yet, trying again: %s", server, error)
                self.clock.sleep(1)

    def wait_no_sessions(self, server: str) -> None:
        """Wait until no balancer has a session with the server.

        After limits.node.drain_seconds it is a HaproxyError, unless the cloud file allows to cut
        the sessions that are left.
        """
        for balancer in self.by_name.values():
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

    def sessions_left(self, servers: Collection[str]) -> int:
        """Wait up to limits.node.drain_seconds for sessions to end; return how many have not."""
        end = self.clock.elapsed() + self.limits.drain_seconds
        while True:
            left = sum(state.sessions for _, state in self._states(servers))
            if not left or self.clock.elapsed() > end:
                return left
            self.clock.sleep(POLL_SECONDS)

    def wait_up(self, server: str) -> None:
        """Wait until the server is UP everywhere, and stays so."""
        for balancer in self.by_name.values():
            balancer.wait(
                server, "ready and UP", lambda state: state.serving, self.limits.up_seconds
            )
        self.wait_stable([server])

    def return_to_rotation(self, server: str) -> None:
        """Return a server: set it ready and wait until it is UP everywhere.

        It keeps trying while a load balancer does not answer; HaproxyError after
        limits.node.up_seconds.
        """
        end = self.clock.elapsed() + self.limits.up_seconds
        while True:
            try:
                self._set([server], "ready")
                left = self.not_serving([server])
            except HaproxyError as error:
                left = [str(error)]
            if not left:
                return
            if self.clock.elapsed() > end:
                raise HaproxyError(
                    f"{server} is not ready and UP on every load balancer after "
                    f"{self.limits.up_seconds:g} s: " + "; ".join(left)
                )
            self.clock.sleep(POLL_SECONDS)

    def wait_stable(self, servers: Collection[str]) -> None:
        """Watch servers for limits.node.stable_seconds; HaproxyError if one does not stay UP."""
        seconds = self.limits.stable_seconds
        end = self.clock.elapsed() + seconds
        while self.clock.elapsed() < end:
            left = self.not_serving(servers)
            if left:
                raise HaproxyError(f"did not stay UP for {seconds:g} s: {'; '.join(left)}")
            self.clock.sleep(POLL_SECONDS)

    def is_serving(self, server: str) -> bool:
        """Tell whether every balancer sends requests to the server."""
        return not self.not_serving([server])

    def serving(self, servers: Collection[str]) -> list[str]:
        """Return those of some servers that every load balancer sends requests to."""
        out = {state.name for _, state in self._states(servers) if not state.serving}
        return [server for server in servers if server not in out]

    def not_serving(self, servers: Collection[str]) -> list[str]:
        """Return in words which of some servers do not serve, and on which load balancer."""
        return [f"{name}/{state}" for name, state in self._states(servers) if not state.serving]

    def _set(self, servers: Collection[str], state: str) -> None:
        for balancer in self.by_name.values():
            for server in servers:
                balancer.set_state(server, state)

    def _states(self, servers: Collection[str]) -> Iterator[tuple[str, ServerState]]:
        for name, balancer in self.by_name.items():
            known = balancer.servers()
            for server in servers:
                if server not in known:
                    raise HaproxyError(
                        f"HAProxy {name} knows no server {server!r}; it has {', '.join(known)}"
                    )
                yield name, known[server]
