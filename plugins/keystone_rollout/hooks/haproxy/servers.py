"""Handle a cloud's servers on all of its HAProxy instances as if these were one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from keystone_rollout.domain.clock import Clock
from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.node.cycle import SetByHand
from keystone_rollout.domain.node.server import ServerState
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK
from keystone_rollout.hooks.haproxy.api import HaproxyError, HaproxyProcess
from keystone_rollout.hooks.haproxy.runtime import balancers

POLL_SECONDS = 0.2

log = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True)
class _Asked:
    """What a server was set to, and the HAProxy process that took it."""

    state: str
    process: HaproxyProcess
    or_still: frozenset[str] = frozenset()
    """What it was set to before, while it is not known whether HAProxy took the newest state."""

    @property
    def states(self) -> frozenset[str]:
        """Return every state that it has from here."""
        return self.or_still | {self.state}


@dataclass(frozen=True)
class _Change:
    """A server that is not in the state any more that it was set to here."""

    balancer: str
    server: str
    asked: str
    now: str
    forgotten: bool
    """Whether HAProxy was restarted since; otherwise a person has set the server."""

    @property
    def is_kept_out(self) -> bool:
        """Tell whether a person wants the server to get no requests."""
        return self.now != "ready" and not self.forgotten

    def __str__(self) -> str:
        if self.forgotten:
            return (
                f"HAProxy {self.balancer} was restarted, which made {self.server} {self.now}; it "
                f"had been set to {self.asked}"
            )
        return (
            f"{self.server} was set to {self.now} on {self.balancer} by hand, after it had been "
            f"set to {self.asked} here"
        )


class Servers:
    """The servers of a cloud, one by one for a rolling upgrade (domain.node.cycle.Rotation), and
    together for planned downtime, when no server should serve and capacity is not checked.
    """

    def __init__(self, cloud: Cloud, clock: Clock = SYSTEM_CLOCK) -> None:
        self.clock = clock
        self.limits = cloud.limits.node
        self.by_name = balancers(cloud, clock)
        self._asked: dict[tuple[str, str], _Asked] = {}

    def taken_out(self, server: str) -> str:
        """Return in words where a server is in drain or maint; empty if it is in neither."""
        return ", ".join(
            f"{state.administrative}/{state.operational} on {name}"
            for name, state in self._states([server])
            if state.administrative != "ready"
        )

    def check_capacity(self, server: str) -> None:
        """Refuse to take a server out unless every other one serves, on every balancer."""
        lacking = self.lacking_capacity(server)
        if lacking:
            raise HaproxyError(
                f"{server} is not taken out, capacity would be too small on {lacking}. Next: "
                "return them first"
            )

    def lacking_capacity(self, server: str) -> str:
        """Return what is lacking without a server, and where; empty if the others are enough."""
        for balancer in self.by_name.values():
            others = [state for name, state in balancer.servers().items() if name != server]
            missing = [str(state) for state in others if not state.serving]
            if missing or len(others) < self.limits.min_ready_servers:
                return (
                    f"{balancer.conn_id}: measured {len(others) - len(missing)} other servers "
                    f"ready and UP, limit all {len(others)} and at least "
                    f"{self.limits.min_ready_servers}. Not serving: "
                    f"{'; '.join(missing) or 'none'}"
                )
        return ""

    def drain(self, *servers: str) -> None:
        """Send no new requests to the servers."""
        self._set(servers, "drain")

    def maint(self, *servers: str) -> None:
        """Take the servers out, health checks included."""
        self._set(servers, "maint")

    def keep_out(self, server: str) -> list[str]:
        """Have the server in drain or maint still, as it was set here; say in words what was not.

        A restart of HAProxy makes it ready, and so may a person; what was stopped must not serve,
        so it is taken out again. A person's word on a server that only drains is a SetByHand.
        """

        def ask() -> list[str]:
            found = []
            for change in self._changes(server):
                if change.forgotten or (change.asked == "maint" and change.now == "ready"):
                    self._set_on(change.balancer, server, change.asked)
                    found.append(f"{change}. It is {change.asked} again")
                elif change.asked == "drain":
                    raise SetByHand(str(change))
            return found

        return self._patiently(ask)

    def ready(self, server: str) -> None:
        """Return the server, which serves again as soon as its health check succeeds.

        A balancer on which a person has taken the server out meanwhile is left as it is, the
        others get their state, and SetByHand names it.
        """

        def ask() -> list[str]:
            kept = {each.balancer: str(each) for each in self._changes(server) if each.is_kept_out}
            for name in self.by_name.keys() - kept.keys():
                self._set_on(name, server, "ready")
            return list(kept.values())

        kept = self._patiently(ask)
        if kept:
            raise SetByHand("; ".join(kept))

    def _patiently(self, ask: Callable[[], Result]) -> Result:
        """Ask again for limits.node.up_seconds: HAProxy may be starting just now."""
        end = self.clock.elapsed() + self.limits.up_seconds
        while True:
            try:
                return ask()
            except HaproxyError as error:
                if self.clock.elapsed() > end:
                    raise
                log.warning("Trying again: %s", error)
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
        """Wait until a server is UP everywhere, and stays so; SetByHand if a person took it out."""
        try:
            for balancer in self.by_name.values():
                balancer.wait(
                    server, "ready and UP", lambda state: state.serving, self.limits.up_seconds
                )
            self.wait_stable([server])
        except HaproxyError:
            self._check_not_kept_out(server)
            raise

    def return_to_rotation(self, server: str) -> None:
        """Return a server: set it ready and wait until it is UP everywhere.

        It keeps trying while a load balancer does not answer; HaproxyError after
        limits.node.up_seconds, and SetByHand if a person takes it out again.
        """
        end = self.clock.elapsed() + self.limits.up_seconds
        while True:
            try:
                self._check_not_kept_out(server)
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
        for name in self.by_name:
            for server in servers:
                self._set_on(name, server, state)

    def _set_on(self, name: str, server: str, state: str) -> None:
        # Asked first: if HAProxy is restarted in between, the next look finds another process.
        process = self.by_name[name].process()
        before = self._asked.get((name, server))
        if before is not None:
            # An answer that is lost must not make our own state look like a person's.
            self._asked[name, server] = replace(before, state=state, or_still=before.states)
        self.by_name[name].set_state(server, state)
        self._asked[name, server] = _Asked(state, process)

    def _check_not_kept_out(self, server: str) -> None:
        kept = [str(change) for change in self._changes(server) if change.is_kept_out]
        if kept:
            raise SetByHand("; ".join(kept))

    def _changes(self, server: str) -> Iterator[_Change]:
        """Yield the balancers on which the server is not as it was last set here."""
        for name, state in self._states([server]):
            asked, now = self._asked.get((name, server)), state.administrative
            if asked is not None and now not in asked.states:
                forgotten = self.by_name[name].process().replaced(asked.process)
                yield _Change(name, server, asked.state, now, forgotten)

    def _states(self, servers: Collection[str]) -> Iterator[tuple[str, ServerState]]:
        for name, balancer in self.by_name.items():
            known = balancer.servers()
            for server in servers:
                if server not in known:
                    raise HaproxyError(
                        f"HAProxy {name} knows no server {server!r}; it has {', '.join(known)}"
                    )
                yield name, known[server]
