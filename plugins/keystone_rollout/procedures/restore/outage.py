"""Take nodes out of service together, and return them together.

The first server that is proven serves at once; the others follow as they get ready.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from keystone_rollout.domain.node.cycle import Machine, NodeState
from keystone_rollout.domain.node.release_report import parse_release_report
from keystone_rollout.domain.node.steps import Step
from keystone_rollout.domain.releases.identity import same_build
from keystone_rollout.domain.run.systems import Work
from keystone_rollout.hooks.haproxy.api import HaproxyError
from keystone_rollout.procedures.run.run import RolloutRun

log = logging.getLogger(__name__)

Note = Callable[[str, NodeState, str], None]
"""Called with node, state and text at each change."""


class OutageFailed(RuntimeError):
    """Nodes that are not as they should be, and the state in which each was left."""


class PlannedOutage:
    """A planned outage: Keystone is stopped on nodes, and started again.

    :param note: told each change of each node, from several threads
    """

    def __init__(self, run: RolloutRun, note: Note) -> None:
        self.cloud = cloud = run.cloud
        self.note = note
        self.servers = run.balancers
        self.nodes = run.nodes
        self.server = {node.name: node.server for node in cloud.nodes}
        self.provers = {
            node.name: run.keystone.prover(node, cloud.limits.node.start_seconds)
            for node in cloud.nodes
        }
        self.stale_caches: dict[str, str] = {}
        """Nodes on which a cache could not be emptied, with the reason."""

    def stop(self, names: Collection[str]) -> int:
        """Drain, wait for sessions, set maint, stop Keystone; return the sessions that were cut.

        Raises OutageFailed if a node may still run: it could still write.
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
        """Install and start a release that each node has kept; see `_return_all`."""

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

        self._return_all(names, work)

    def start_again(self, names: Collection[str], releases: Collection[str]) -> None:
        """Start each node's installed release again, if it may serve the schema."""

        def work(name: str, machine: Machine) -> str:
            source = self.cloud.source
            found = parse_release_report(machine.run(Step.REPORT_RELEASE, source)).installed
            release = next((each for each in releases if same_build(each, found)), None)
            if release is None:
                raise OutageFailed(
                    f"it has {found}, the schema may be served by {' or '.join(releases)}"
                )
            machine.run(Step.START, release)
            self.note(name, NodeState.STARTED, release)
            return self.provers[name].prove_alone()

        self._return_all(names, work)

    def _return_all(self, names: Collection[str], work: Work) -> None:
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
        self.servers.return_to_rotation(self.server[name])
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
            # return_to_rotation waits until it answers again: it is not a reason to stay out.
            log.warning("%s is proven alone: %s", name, error)
            return False

    def _stop(self, name: str, machine: Machine) -> str:
        release = self.cloud.source
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
