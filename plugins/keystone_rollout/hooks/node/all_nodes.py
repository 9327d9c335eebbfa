"""Work on all nodes of a cloud at the same time, which takes as long as one node does."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed

from airflow.providers.ssh.hooks.ssh import SSHHook

from keystone_rollout.domain.clock import Clock
from keystone_rollout.domain.cloud.model import Cloud, Node
from keystone_rollout.domain.node.release_report import NodeReport, parse_release_report
from keystone_rollout.domain.node.steps import Step
from keystone_rollout.domain.run import systems
from keystone_rollout.domain.run.systems import Work
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK
from keystone_rollout.hooks.node.machine import NodeMachine
from keystone_rollout.hooks.places.ssh import SshConnection


class AllNodes:
    """The nodes of a cloud, for the same work on several, each in a thread of its own.

    :param machines: nodes by name; by default each is reached over its SSH connection. A node
        without a known connection fails at its work, like one that is down
    """

    def __init__(
        self,
        cloud: Cloud,
        machines: Mapping[str, systems.NodeMachine] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.cloud = cloud
        self.machines = machines
        self.clock = clock

    def connection(self, node: Node) -> SshConnection:
        """Return a hook for a node's connection."""
        return SshConnection(node.ssh, limits=self.cloud.limits)

    def machine(
        self,
        node: Node,
        note: Callable[[str], None] | None = None,
        connection: SSHHook | None = None,
    ) -> systems.NodeMachine:
        """Return one node, see NodeMachine."""
        if self.machines is not None:
            return self.machines[node.name]
        return NodeMachine(self.cloud, node, connection, note, self.clock)

    def each(self, names: Collection[str], work: Work) -> Iterator[tuple[str, str | Exception]]:
        """Yield each node with the result or the error of its work, in the order they finish."""
        if not names:
            return
        # Looked up here: Airflow's channel to its supervisor serves one thread at a time.
        machines = {name: self._found(name) for name in names}

        def on_node(name: str) -> str:
            machine = machines[name]
            if isinstance(machine, Exception):
                raise machine
            return work(name, machine)

        with ThreadPoolExecutor(len(names)) as pool:
            running = {pool.submit(on_node, name): name for name in names}
            for future in as_completed(running):
                error = future.exception()
                if error is not None and not isinstance(error, Exception):
                    raise error
                yield running[future], error or future.result()

    def _found(self, name: str) -> systems.NodeMachine | Exception:
        try:
            return self.machine(self.cloud.node(name))
        except Exception as error:
            return error

    def reports(self) -> dict[str, NodeReport]:
        """Return each node's report, or why there is none, in the cloud file's order."""
        release = self.cloud.source
        found: dict[str, NodeReport] = {}
        names = self.cloud.node_names
        for name, text in self.each(names, lambda _, node: node.run(Step.REPORT_RELEASE, release)):
            try:
                if isinstance(text, Exception):
                    raise text
                found[name] = NodeReport(parse_release_report(text))
            except Exception as error:
                found[name] = NodeReport(problem=str(error))
        return {name: found[name] for name in names}
