"""Read the parts of a plan: image, schema, nodes. An unreadable part is a finding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from keystone_rollout.domain.cloud.model import Node
from keystone_rollout.domain.node.release_report import NodeReport
from keystone_rollout.domain.releases.hop_plan import PLANNED
from keystone_rollout.domain.releases.identity import same_build
from keystone_rollout.domain.schema.forecast import forecasts
from keystone_rollout.domain.schema.migrations import ImageMigrations
from keystone_rollout.domain.schema.state import MigrationState, refused
from keystone_rollout.domain.schema.versions import RecordedVersions
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.procedures.run.run import RolloutRun

NEXT_IMAGE = "pull or build the image of the target release, then plan again"
NEXT_CONNECTION = "repair it, or correct its connection in Airflow, then plan again"
Read = TypeVar("Read")
Servers = Mapping[str, Any]


def migration_state(run: RolloutRun) -> MigrationState:
    """Place the schema that the reader sees against the migrations of the upgrade image."""
    return MigrationState(run.schema.versions(), run.engine.image.migrations())


class PlanReader:
    """The reader of one cloud's side of a plan, part by part; it changes nothing.

    Every part is plain data with ``findings``: verdicts on obstacles and unreadable parts.
    """

    def __init__(self, run: RolloutRun) -> None:
        self.run = run
        self.cloud = run.cloud
        self.findings: list[Verdict] = []

    def read_migrations(self) -> dict[str, Any]:
        """Return what each phase would do, with its pending migrations in order."""
        self.findings = []
        name, image = self.cloud.upgrade_container.image, self.run.engine.image
        digest = self._try(name, NEXT_IMAGE, image.digest)
        release = self._try(name, NEXT_IMAGE, image.release) if digest else None
        migrations = self._try(name, NEXT_IMAGE, image.migrations) if digest else None
        recorded = self._try(self.cloud.databases.reader, NEXT_CONNECTION, self.run.schema.versions)
        self._judge_image(release)
        part: dict[str, Any] = {
            "image": name, "digest": digest, "release": release,
            "stands": str(recorded) if recorded else None, "phases": None,
        }  # fmt: skip
        if migrations is not None and recorded is not None:
            part |= self._phases(recorded, migrations)
        return self._part(part)

    def read_schema(self) -> dict[str, Any]:
        """Return rows and bytes of every table."""
        self.findings = []
        schema = self.run.schema
        sizes = self._try(self.cloud.databases.reader, NEXT_CONNECTION, schema.table_sizes)
        return self._part({"schema": schema.schema, "tables": sizes})

    def read_nodes(self) -> dict[str, Any]:
        """Return every node in the order of the upgrade: its release now, and its servers."""
        self.findings = []
        reports = self.run.nodes.reports()
        known = {
            name: self._try(f"HAProxy {name}", NEXT_CONNECTION, balancer.servers)
            for name, balancer in self.run.balancers.by_name.items()
        }
        rows = [self._node(node, reports[node.name], known) for node in self.cloud.nodes]
        return self._part({"nodes": rows})

    def _part(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "findings": [asdict(each) for each in self.findings]}

    def _try(self, subject: str, next_step: str, read: Callable[[], Read]) -> Read | None:
        try:
            return read()
        except Exception as error:
            text = " ".join(str(error).split())
            self._find("reading", subject, text, "reachable and readable", next_step)
            return None

    def _find(self, check: str, subject: str, measured: str, limit: str, next_step: str) -> None:
        self.findings.append(Verdict(False, check, subject, measured, limit, PLANNED, next_step))

    def _judge_image(self, release: str | None) -> None:
        if release is not None and not same_build(self.cloud.target, release):
            self._find("image", self.cloud.upgrade_container.image, str(release),
                       self.cloud.target, "use the image of the target release")  # fmt: skip

    def _phases(self, recorded: RecordedVersions, migrations: ImageMigrations) -> dict[str, Any]:
        state = MigrationState(recorded, migrations)
        reason = refused(state)
        if reason:
            self._find(
                "heads",
                self.cloud.upgrade_container.image,
                reason,
                f"at most {migrations}",
                "choose the release that follows the one this database belongs to",
            )
            return {"heads": migrations.heads()}
        return {
            "heads": migrations.heads(),
            "stands": str(state),
            "phases": [asdict(phase) for phase in forecasts(state)],
        }

    def _node(
        self,
        node: Node,
        report: NodeReport,
        balancers: Mapping[str, Servers | None],
    ) -> dict[str, Any]:
        cloud = self.cloud
        if report.release is None:
            self._find("reading", node.name, " ".join(report.problem.split()),
                       "reachable and readable", NEXT_CONNECTION)  # fmt: skip
        elif not any(report.serves(release) for release in (cloud.source, cloud.target)):
            self._find("release", node.name, str(report),
                       f"{cloud.source} or {cloud.target} running",
                       "correct source and target, or repair the node")  # fmt: skip
        servers = {name: self._server(name, node, of) for name, of in balancers.items()}
        return {
            "name": node.name,
            "release": str(report),
            "server": node.server,
            "states": servers,
        }

    def _server(self, balancer: str, node: Node, known: Servers | None) -> str:
        if known is None:
            return "not known"
        state = known.get(node.server)
        if state is None:
            self._find("server", f"{balancer}/{node.server} of {node.name}", "unknown",
                       f"one of {', '.join(known)}",
                       f"correct nodes.server of {node.name} in the cloud file")  # fmt: skip
            return "unknown server"
        text = f"{state.administrative}/{state.operational}"
        if not state.serving:
            self._find("capacity", f"{balancer}/{node.server}", text, "ready/UP",
                       f"return {node.server} first")  # fmt: skip
        return text
