"""Check what this very hop needs beyond the procedure that all hops have in common."""

from __future__ import annotations

from collections.abc import Callable

from hooks.cloud_file import project_path
from hooks.keystone_configuration import configuration_files, find_option
from hooks.node_machine import NodeMachine, StepFailed
from rollout.cache_sharing import (
    Cache,
    cache_from_text,
    judge_cache_sharing,
    own_cache_cost,
    writes_that_fail,
)
from rollout.catalogue import Option
from rollout.cloud import Cloud, Node
from rollout.node_cycle import parse_release_report
from rollout.node_steps import Step
from rollout.releases import failing_writes, needed_options, remarks
from rollout.verdict import Verdict


class HopChecks:
    """Hold the catalogue's needs of a hop against the configurations and the nodes.

    ``notes``, after `run`, are sentences that the operator has to know about this hop.

    :param machines: reaches a node
    """

    def __init__(
        self, cloud: Cloud, machines: Callable[[Cloud, Node], NodeMachine] = NodeMachine
    ) -> None:
        self.cloud = cloud
        self.machines = machines
        self.notes: list[str] = []

    def run(self) -> list[Verdict]:
        """Return a verdict on each need; ConfigurationUnreadable and StepFailed pass through."""
        cloud = self.cloud
        source, target = cloud.source_release, cloud.target_release
        self.notes = writes_that_fail(cloud, failing_writes(source, target))
        self.notes += remarks(source, target)
        options = [self._option(option) for option in needed_options(source, target)]
        return [*options, self._connection(), self._cache()]

    def _folders(self) -> list[str]:
        folders = [self.cloud.upgrade_container.configuration, self.cloud.node_steps.configuration]
        return list(dict.fromkeys(folder for folder in folders if folder is not None))

    def _option(self, option: Option) -> Verdict:
        read = {folder: self._value(folder, option) for folder in self._folders()}
        wrong = [
            f"{folder}: {value if value is not None else 'not there'}"
            for folder, value in read.items()
            if value is None or option.value not in (None, value.lower())
        ]
        return Verdict(
            ok=not wrong,
            check="hop configuration",
            object=f"[{option.section}] {option.option}",
            measured="; ".join(wrong) or f"{next(iter(read.values()))}",
            limit=f"{option}: {option.why}",
            consequence="nothing was touched",
            next_step="set it in keystone.conf of the target release",
        )

    def _value(self, folder: str, option: Option) -> str | None:
        found = find_option(project_path(folder), option.section, option.option)
        return found[1] if found else None

    def _connection(self) -> Verdict:
        """Refuse a URL that the target's migrations cannot read; it is a secret, so not shown."""
        cloud = self.cloud
        folder = cloud.upgrade_container.configuration
        found = find_option(project_path(folder), "database", "connection")
        alembic = cloud.target_release.series.version_table == "alembic_version"
        encoded = found is not None and "%" in found[1]
        return Verdict(
            ok=not (alembic and encoded),
            check="database URL",
            object=f"[database] connection in {folder}",
            measured="holds a %" if encoded else "holds no %",
            limit=f"no %: db_sync of {cloud.target} takes it for an interpolation and ends at once"
            if alembic
            else "anything",
            consequence="nothing was touched",
            next_step="give Keystone's database account a password that needs no percent-encoding",
        )

    def _cache(self) -> Verdict:
        cloud = self.cloud
        folder = project_path(self._folders()[-1])
        files = configuration_files(folder)
        target = cache_from_text(
            "\n".join(each.read_text(encoding="utf-8", errors="replace") for each in files)
        )
        nodes = self._caches_of_source_nodes()
        cost = own_cache_cost(cloud, nodes, target)
        if cost:
            self.notes.append(cost)
        return judge_cache_sharing(cloud, nodes, target)

    def _caches_of_source_nodes(self) -> dict[str, Cache]:
        found = {}
        for node in self.cloud.nodes:
            machine = self.machines(self.cloud, node)
            try:
                report = parse_release_report(machine.run(Step.REPORT_RELEASE, self.cloud.source))
            except StepFailed:
                continue  # whoever cannot be asked is a finding of its own
            if report.installed == self.cloud.source:
                found[node.name] = cache_from_text(
                    machine.run(Step.REPORT_CACHE, self.cloud.source)
                )
        return found
