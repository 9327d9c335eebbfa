"""Check the needs of this very hop beyond the procedure that all hops share."""

from __future__ import annotations

from collections.abc import Mapping

from keystone_rollout.domain.node.steps import Step
from keystone_rollout.domain.releases.cache_sharing import (
    Cache,
    cache_from_text,
    cache_from_values,
    judge_cache_sharing,
    own_cache_cost,
    writes_that_fail,
)
from keystone_rollout.domain.releases.catalogue import Option
from keystone_rollout.domain.releases.identity import same_build
from keystone_rollout.domain.releases.release import failing_writes, needed_options, remarks
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.procedures.run.run import RolloutRun


class HopChecks:
    """The checks of a hop's needs against the configurations and the nodes.

    ``notes``, after `run`, are sentences that the operator has to know about this hop.
    """

    def __init__(self, run: RolloutRun) -> None:
        self.of = run
        self.cloud = run.cloud
        self.notes: list[str] = []

    def run(self, releases: Mapping[str, str]) -> list[Verdict]:
        """Return a verdict on each need; ConfigurationUnreadable and StepFailed pass through.

        :param releases: what each node has installed; one that could not be asked is left out, and
            is a finding of its own
        """
        cloud = self.cloud
        source, target = cloud.source_release, cloud.target_release
        self.notes = writes_that_fail(cloud, failing_writes(source, target))
        self.notes += remarks(source, target)
        options = [self._option(option) for option in needed_options(source, target)]
        return [*options, self._connection(), self._cache(releases)]

    def _folders(self) -> list[str]:
        folders = [self.cloud.upgrade_container.configuration, self.cloud.node_steps.configuration]
        return list(dict.fromkeys(folder for folder in folders if folder is not None))

    def _option(self, option: Option) -> Verdict:
        read = {
            folder: self._value(folder, option.section, option.option) for folder in self._folders()
        }
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

    def _value(self, folder: str, section: str, option: str) -> str | None:
        return self.of.configuration.option(folder, section, option)

    def _connection(self) -> Verdict:
        """Refuse a URL that the target's migrations cannot read; it is a secret, so not shown."""
        cloud = self.cloud
        folder = cloud.upgrade_container.configuration
        value = self._value(folder, "database", "connection")
        alembic = cloud.target_release.series.version_table == "alembic_version"
        encoded = value is not None and "%" in value
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

    def _cache(self, releases: Mapping[str, str]) -> Verdict:
        cloud, folder = self.cloud, self._folders()[-1]
        target = cache_from_values(
            self._value(folder, "cache", "memcache_servers"),
            self._value(folder, "cache", "expiration_time"),
        )
        nodes = self._caches_of_source_nodes(releases)
        cost = own_cache_cost(cloud, nodes, target)
        if cost:
            self.notes.append(cost)
        return judge_cache_sharing(cloud, nodes, target)

    def _caches_of_source_nodes(self, releases: Mapping[str, str]) -> dict[str, Cache]:
        source = self.cloud.source
        return {
            node.name: cache_from_text(self.of.nodes.machine(node).run(Step.REPORT_CACHE, source))
            for node in self.cloud.nodes
            if same_build(source, releases.get(node.name, ""))
        }
