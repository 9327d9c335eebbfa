"""Handle all servers of a cloud at once, on every load balancer: planned downtime does so."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.hooks.haproxy.runtime import HaproxyError, HaproxyRuntimeHook, ServerState

POLL_SECONDS = 0.2


class BackendServers:
    """Read and set servers on all HAProxy instances of a cloud.

    Unlike a rolling upgrade this asks for no capacity: here nobody is meant to serve.
    """

    def __init__(self, cloud: Cloud) -> None:
        self.balancers = {
            balancer.name: HaproxyRuntimeHook(balancer.connection, balancer.backend)
            for balancer in cloud.load_balancers
        }

    def set_states(self, servers: Collection[str], state: str) -> None:
        """Set all of some servers ready, drain or maint everywhere."""
        for balancer in self.balancers.values():
            for server in servers:
                balancer.set_state(server, state)

    def wait_no_sessions(self, servers: Collection[str], limit: float) -> int:
        """Wait until the servers have no sessions; return how many are left after ``limit`` s."""
        end = time.monotonic() + limit
        while True:
            left = sum(state.sessions for _name, state in self._states(servers))
            if not left or time.monotonic() > end:
                return left
            time.sleep(POLL_SECONDS)

    def serving(self, servers: Collection[str]) -> list[str]:
        """Return those of some servers that every load balancer sends requests to."""
        out = {state.name for _name, state in self._states(servers) if not state.serving}
        return [server for server in servers if server not in out]

    def not_serving(self, servers: Collection[str]) -> list[str]:
        """Return in words which of some servers do not serve, and on which load balancer."""
        return [f"{name}/{state}" for name, state in self._states(servers) if not state.serving]

    def bring_in(self, server: str, limit: float) -> None:
        """Set a server ready and wait until it is UP everywhere.

        Goes on trying while a load balancer does not answer; HaproxyError after ``limit`` s.
        """
        end = time.monotonic() + limit
        while True:
            try:
                self.set_states([server], "ready")
                left = self.not_serving([server])
            except HaproxyError as error:
                left = [str(error)]
            if not left:
                return
            if time.monotonic() > end:
                raise HaproxyError(
                    f"{server} is not ready and UP on every load balancer after {limit:g} s: "
                    + "; ".join(left)
                )
            time.sleep(POLL_SECONDS)

    def wait_stable(self, servers: Collection[str], seconds: float) -> None:
        """Watch servers for a while; HaproxyError where one does not stay UP."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            left = self.not_serving(servers)
            if left:
                raise HaproxyError(f"did not stay UP for {seconds:g} s: {'; '.join(left)}")
            time.sleep(POLL_SECONDS)

    def _states(self, servers: Collection[str]) -> Iterator[tuple[str, ServerState]]:
        for name, balancer in self.balancers.items():
            known = balancer.servers()
            for server in servers:
                if server not in known:
                    raise HaproxyError(
                        f"HAProxy {name} knows no server {server!r}; it has {', '.join(known)}"
                    )
                yield name, known[server]
