"""Work on all nodes of a cloud at the same time: what one node takes is what all of them take."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Protocol

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.node.cycle import Machine
from keystone_rollout.domain.node.release_report import NodeReport, parse_release_report
from keystone_rollout.domain.node.steps import Step
from keystone_rollout.hooks.node.machine import NodeMachine


class PrivilegedMachine(Machine, Protocol):
    """Run steps on a node, and say which of them its account may not run."""

    def missing_privileges(self) -> list[str]: ...


Work = Callable[[str, PrivilegedMachine], str]


class AllNodes:
    """Run the same work on several nodes, each in a thread of its own.

    :param machines: nodes by name; by default each is reached over its SSH connection. A node
        whose connection cannot even be looked up fails at its work, like one that is down
    """

    def __init__(
        self, cloud: Cloud, machines: Mapping[str, PrivilegedMachine] | None = None
    ) -> None:
        self.cloud = cloud
        self.machines: dict[str, PrivilegedMachine | Exception] = dict(machines or {})
        if machines is None:
            for node in cloud.nodes:
                try:
                    self.machines[node.name] = NodeMachine(cloud, node)
                except Exception as error:
                    self.machines[node.name] = error

    def each(self, names: Collection[str], work: Work) -> Iterator[tuple[str, str | Exception]]:
        """Yield each node with what its work returned or raised, in the order they finish."""

        def on_node(name: str) -> str:
            machine = self.machines[name]
            if isinstance(machine, Exception):
                raise machine
            return work(name, machine)

        if not names:
            return
        with ThreadPoolExecutor(len(names)) as pool:
            running = {pool.submit(on_node, name): name for name in names}
            for future in as_completed(running):
                error = future.exception()
                if error is not None and not isinstance(error, Exception):
                    raise error
                yield running[future], error or future.result()

    def reports(self) -> dict[str, NodeReport]:
        """Return what each node runs, or why that is not known, in the cloud file's order."""
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
