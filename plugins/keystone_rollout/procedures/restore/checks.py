"""Check all requirements of a restore, while everything still serves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from keystone_rollout.domain.node.release_report import NodeReport
from keystone_rollout.domain.node.steps import Step
from keystone_rollout.domain.releases.identity import same_build
from keystone_rollout.domain.run.systems import Balancer, NodeMachine, SchemaView
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.procedures.preflight.finding import finding
from keystone_rollout.procedures.run.run import RolloutRun

ADMINISTRATOR_NEEDS = (
    "CREATE", "DROP", "ALTER", "SELECT", "INSERT", "TRIGGER", "CREATE VIEW", "SHOW VIEW",
)  # fmt: skip
SEES_OTHERS = ("PROCESS",)
"""Needed on *.*: without it an account sees its own sessions only, and no writer is ever found."""


class RestoreChecks:
    """All checks of a restore; one that cannot be made is a finding, not an abort."""

    def __init__(self, run: RolloutRun) -> None:
        self.of = run
        self.cloud = run.cloud

    def run(self, backup: Path, reports: Mapping[str, NodeReport]) -> list[Verdict]:
        """Return all findings, good and bad, in one list."""
        verdicts = [self._release(name, report) for name, report in reports.items()]
        for subject, check in self._checks(backup):
            try:
                verdicts += check()
            except Exception as error:
                verdicts.append(
                    finding(False, "preflight", subject, " ".join(str(error).split()),
                            "reachable and readable",
                            "repair it, or correct its connection in Airflow")
                )  # fmt: skip
        return verdicts

    def _checks(self, backup: Path) -> Iterator[tuple[str, Callable[[], list[Verdict]]]]:
        yield backup.name, lambda: [self.of.backups.judge(backup)]
        yield self.cloud.databases.administrator, self._administrator
        yield "client", self._client
        yield "nodes", self._kept
        for name, balancer in self.of.balancers.by_name.items():
            yield name, partial(self._balancer, name, balancer)

    def _release(self, name: str, report: NodeReport) -> Verdict:
        known = (self.cloud.source, self.cloud.target)
        return finding(
            any(same_build(each, report.installed) for each in known),
            "release", name, str(report),
            f"{' or '.join(known)} installed, reachable over SSH",
            f"correct source and target, or repair {name}: a node that cannot be stopped may write",
        )  # fmt: skip

    def _kept(self) -> list[Verdict]:
        source = self.cloud.source

        def lacking(name: str, machine: NodeMachine) -> str:
            kept = machine.run(Step.CHECK_KEPT, source).split("\n")
            denied = [f"sudo {line} not allowed" for line in machine.missing_privileges()]
            return "; ".join([line for line in kept if line.strip()] + denied)

        found = dict(self.of.nodes.each(self.cloud.node_names, lacking))
        return [
            finding(
                found[name] == "", "way back", name, str(found[name]) or "complete",
                f"packages and configuration of {source} kept there, every command allowed",
                f"put what is missing there by hand, or extend sudoers on {name}",
            )
            for name in self.cloud.node_names
        ]  # fmt: skip

    def _administrator(self) -> list[Verdict]:
        name = self.cloud.databases.administrator
        schema, accounts = self.of.schema.live, self.of.accounts
        lacking = accounts.lacking(name, ADMINISTRATOR_NEEDS, schema.schema)
        lacking += accounts.lacking(name, SEES_OTHERS, "*")
        return [
            finding(
                not lacking, "privileges", name,
                f"missing {', '.join(lacking)}" if lacking else "complete",
                f"{', '.join(ADMINISTRATOR_NEEDS)}, and {', '.join(SEES_OTHERS)} on *.*",
                f"GRANT {', '.join(lacking)} to the account of connection {name}",
            ),
            *self._definitions(name, schema),
        ]  # fmt: skip

    def _definitions(self, name: str, schema: SchemaView) -> list[Verdict]:
        """Check that triggers and views could be made again; most Keystone schemas have none."""
        made = [*schema.triggers(), *schema.views()]
        if not made:
            return []
        protected = self.of.accounts.protects_triggers(name)
        enough = ("SUPER",) if protected else ("SUPER", "SET USER", "SET_USER_ID")
        lacking = all(self.of.accounts.lacking(name, (each,), "*") for each in enough)
        return [
            finding(
                not lacking, "definitions", schema.schema,
                f"{len(made)} triggers and views ({', '.join(made[:3])}), "
                + ("account may not make them again" if lacking else "account may make them again"),
                f"{' or '.join(enough)} on *.*",
                f"grant it to the account of connection {name}",
            )
        ]  # fmt: skip

    def _client(self) -> list[Verdict]:
        missing = self.of.backups.client_missing()
        return [finding(missing is None, "client", "mariadb", missing or "installed", "installed",
                        "install a MariaDB or MySQL client on the worker")]  # fmt: skip

    def _balancer(self, name: str, balancer: Balancer) -> list[Verdict]:
        inventory = {node.server for node in self.cloud.nodes}
        servers, level = set(balancer.servers()), balancer.level()
        missing = ", ".join(sorted(inventory - servers))
        unknown = ", ".join(sorted(servers - inventory))
        return [
            finding(level == "admin", "level", name, level, "admin",
                    "add `level admin` to the stats socket"),
            finding(
                not missing and not unknown, "inventory", name,
                "; ".join(filter(None, (missing and f"unknown to it: {missing}",
                                        unknown and f"not in the cloud file: {unknown}")))
                or "the cloud file's nodes",
                "exactly the cloud file's nodes, or one would go on writing",
                "correct the cloud file, or remove the server from the backend",
            ),
        ]  # fmt: skip
