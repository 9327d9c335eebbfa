"""Take nodes out of service together, and bring them back together.

The first server that is proven serves at once; the others follow as they get ready.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.node.cycle import Machine, NodeState
from keystone_rollout.domain.node.release_report import parse_release_report
from keystone_rollout.domain.node.steps import Step
from keystone_rollout.domain.releases.identity import same_build
from keystone_rollout.hooks.haproxy.api import HaproxyError
from keystone_rollout.hooks.haproxy.servers import Servers
from keystone_rollout.hooks.keystone.api import NodeProver
from keystone_rollout.hooks.node.all_nodes import AllNodes, Work

log = logging.getLogger(__name__)

Note = Callable[[str, NodeState, str], None]
"""Called with node, state and text at each change."""


class OutageFailed(RuntimeError):
    """Say which nodes are not as they should be, and where each was left."""


class Prover(Protocol):
    """Show with real tokens that a node serves (keystone_rollout.hooks.keystone.api.NodeProver)."""

    def prove(self) -> str: ...
    def prove_alone(self) -> str: ...


class PlannedOutage:
    """Stop Keystone on nodes, and start it again.

    :param note: told each change of each node, from several threads
    """

    def __init__(
        self,
        cloud: Cloud,
        note: Note,
        nodes: AllNodes | None = None,
        provers: Mapping[str, Prover] | None = None,
    ) -> None:
        self.limits = cloud.limits.node
        self.note = note
        self.servers = Servers(cloud)
        self.nodes = nodes or AllNodes(cloud)
        self.server = {node.name: node.server for node in cloud.nodes}
        self.provers = provers or {
            node.name: NodeProver(cloud.api.connection, node.url, self.limits.start_seconds)
            for node in cloud.nodes
        }
        self.stale_caches: dict[str, str] = {}
        """Nodes on which a cache could not be emptied, with the reason."""

    def stop(self, names: Collection[str]) -> int:
        """Drain, wait for sessions, set maint, stop Keystone; return the sessions that were cut.

        Raises OutageFailed where a node did not stop for certain: it could still write.
        """
        servers = [self.server[name] for name in names]
        for name in names:
            self.note(name, NodeState.DRAIN, "no new requests")
        self.servers.drain(*servers)
        cut = self.servers.sessions_left(servers)
        self.servers.maint(*servers)
        for name in names:
            self.note(name, NodeState.MAINT, f"out of rotation, {cut} sessions cut in all")
        failures = [
            f"{name} may still run: {outcome}"
            for name, outcome in self.nodes.each(names, self._stop)
            if isinstance(outcome, Exception)
        ]
        if failures:
            raise OutageFailed("; ".join(sorted(failures)))
        return cut

    def replace(self, names: Collection[str], release: str) -> None:
        """Install and start a release that each node has kept; see `_bring_back`."""

        def work(name: str, machine: Machine) -> str:
            for step in (Step.STOP, Step.ENABLE_REPOSITORY, Step.INSTALL, Step.CONFIGURE):
                machine.run(step, release)
                if step is Step.STOP:
                    self.note(name, NodeState.STOPPED, "service stopped")
            self.note(name, NodeState.INSTALLED, release)
            self._flush_cache(name, machine, release)
            self._still_out(name)
            machine.run(Step.START, release)
            self.note(name, NodeState.STARTED, release)
            proof = self.provers[name].prove_alone()
            report = parse_release_report(machine.run(Step.REPORT_RELEASE, release))
            if not report.serves_for_certain(release):
                raise OutageFailed(f"it reports {report.in_full}; expected {release} running")
            return proof

        self._bring_back(names, work)

    def put_back(self, names: Collection[str], releases: Collection[str]) -> None:
        """Start what is installed on each node again, if it is one that may serve the schema."""

        def work(name: str, machine: Machine) -> str:
            source = self.nodes.cloud.source
            found = parse_release_report(machine.run(Step.REPORT_RELEASE, source)).installed
            release = next((each for each in releases if same_build(each, found)), None)
            if release is None:
                raise OutageFailed(
                    f"it has {found}, the schema may be served by {' or '.join(releases)}"
                )
            machine.run(Step.START, release)
            self.note(name, NodeState.STARTED, release)
            return self.provers[name].prove_alone()

        self._bring_back(names, work)

    def _bring_back(self, names: Collection[str], work: Work) -> None:
        """Do the work on all nodes at once, and let each serve as soon as it is proven.

        Raises OutageFailed at the end, naming each node that stays out; the others serve.
        """
        # HAProxy was restarted perhaps, or a person set one ready: nothing unproven serves.
        self.servers.maint(*(self.server[name] for name in names))
        back: list[str] = []
        failures: list[str] = []
        for name, outcome in self.nodes.each(names, work):
            try:
                if isinstance(outcome, Exception):
                    raise outcome
                self._enter_rotation(name, outcome)
                back.append(self.server[name])
            except Exception as error:
                self.note(name, NodeState.OUT, f"out of rotation: {error}")
                failures.append(f"{name} is OUT of rotation: {error}")
        self.servers.wait_stable(back)
        if failures:
            raise OutageFailed("; ".join(sorted(failures)))

    def _enter_rotation(self, name: str, proof: str) -> None:
        if self._others_serve(name):
            proof = self.provers[name].prove()
        self.note(name, NodeState.PROVED, proof)
        self.servers.bring_in(self.server[name])
        self.note(name, NodeState.UP, "ready and UP")

    def _still_out(self, name: str) -> None:
        """Have the server out of rotation still, and note what was not so."""
        for text in self.servers.keep_out(self.server[name]):
            self.note(name, NodeState.NOTE, text)

    def _others_serve(self, name: str) -> bool:
        others = [server for server in self.server.values() if server != self.server[name]]
        try:
            return bool(self.servers.serving(others))
        except HaproxyError as error:
            # Whether it answers again is for bring_in to wait for, not for a reason to stay out.
            log.warning("%s is proven alone: %s", name, error)
            return False

    def _stop(self, name: str, machine: Machine) -> str:
        release = self.nodes.cloud.source
        self._still_out(name)
        machine.run(Step.STOP, release)
        report = parse_release_report(machine.run(Step.REPORT_RELEASE, release))
        if report.running:
            raise OutageFailed(f"it reports {report} after step stop")
        self.note(name, NodeState.STOPPED, "service stopped")
        return str(report)

    def _flush_cache(self, name: str, machine: Machine, release: str) -> None:
        # Not worth a longer downtime: cached rows expire, so this is judged at the end.
        try:
            machine.run(Step.FLUSH_CACHE, release)
        except Exception as error:
            log.warning("%s: %s", name, error)
            self.stale_caches[name] = str(error)
