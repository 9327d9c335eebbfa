"""Check all requirements of an upgrade, before anything is touched."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from keystone_rollout.domain.cloud.model import Node
from keystone_rollout.domain.node.release_report import parse_release_report
from keystone_rollout.domain.node.steps import Step
from keystone_rollout.domain.releases.identity import same_build
from keystone_rollout.domain.run.lock import Mark
from keystone_rollout.domain.run.systems import Balancer
from keystone_rollout.domain.schema.state import refused
from keystone_rollout.domain.schema.versions import Phase
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.database.keystone import (
    ADMINISTRATOR_NEEDS,
    KEYSTONE_NEEDS,
    SEE_SESSIONS,
    SET_GLOBAL,
)
from keystone_rollout.hooks.files.run_directory import runs_folder
from keystone_rollout.procedures.plan.reader import migration_state
from keystone_rollout.procedures.preflight.finding import UNTOUCHED, finding
from keystone_rollout.procedures.preflight.hop import HopChecks
from keystone_rollout.procedures.preflight.trust import TrustChecks
from keystone_rollout.procedures.run.run import RolloutRun

NAMED_AT_MOST = 5
"""Commands that a finding names at most."""


class PreflightChecks:
    """All checks of an upgrade; one that cannot be made is a finding, not an abort."""

    def __init__(self, run: RolloutRun) -> None:
        self.of = run
        self.cloud = run.cloud
        self.lock = run.lock
        self.left_out: dict[str, Mark] = {}
        self.fingerprints: dict[str, str] = {}
        self.releases: dict[str, str] = {}
        self.expanded: bool | None = None
        self.hop = HopChecks(run)

    def run(self) -> list[Verdict]:
        """Return all findings, good and bad, in one list."""
        verdicts: list[Verdict] = []
        for subject, check in self._checks():
            try:
                verdicts += check()
            except Exception as error:
                text = " ".join(str(error).split())
                verdicts.append(
                    finding(False, "preflight", subject, text, "reachable and readable",
                            "repair it, or correct its connection in Airflow")
                )  # fmt: skip
        verdicts += [self._same_keys(), self._no_new_node_on_old_schema()]
        return verdicts

    def _checks(self) -> Iterator[tuple[str, Callable[[], list[Verdict]]]]:
        databases = self.cloud.databases
        yield "upgrade lock", self._lock
        for node in self.cloud.nodes:
            yield node.name, partial(self._node, node)
        for name, balancer in self.of.balancers.by_name.items():
            yield name, partial(self._balancer, name, balancer)
        yield databases.reader, self._versions
        yield databases.keystone, self._keystone_account
        yield databases.administrator, self._administrator
        yield self.cloud.upgrade_container.image, self._image
        yield f"{self.cloud.source} → {self.cloud.target}", partial(self.hop.run, self.releases)
        yield "certificates", lambda: TrustChecks(self.of).run(self.left_out)
        yield self.cloud.api.connection, self._api
        yield "backup", self._backup
        yield "record", partial(self._room, runs_folder())
        yield "temporary files", partial(self._room, Path(tempfile.gettempdir()))

    def _lock(self) -> list[Verdict]:
        self.left_out = self.of.marks.all()
        verdict = self.lock.judge()
        return [replace(verdict, consequence=UNTOUCHED)]

    def _node(self, node: Node) -> list[Verdict]:
        machine, cloud = self.of.nodes.machine(node), self.cloud
        report = parse_release_report(machine.run(Step.REPORT_RELEASE, cloud.source))
        self.releases[node.name] = report.installed
        lacking, needed = machine.missing_privileges(), len(machine.privileges())
        if not lacking:
            self.fingerprints[node.name] = machine.run(Step.KEY_FINGERPRINT, cloud.source).strip()
        return [
            finding(
                any(report.serves(release) for release in (cloud.source, cloud.target))
                or node.server in self.left_out,
                "release", node.name, f"{report}{self._left_by(node.server)}",
                f"{cloud.source} or {cloud.target} running",
                "correct source and target in the cloud file, or repair the node",
            ),
            finding(
                not lacking, "sudo", node.name,
                f"{len(lacking)} of {needed} not allowed: {'; '.join(lacking[:NAMED_AT_MOST])}"
                if lacking else f"all {needed} commands allowed",
                "every command of the node's steps without password",
                f"`make sudoers CLOUD={cloud.name}` prints the sudoers file that {node.name} "
                f"needs for the user of connection {node.ssh}",
            ),
        ]  # fmt: skip

    def _left_by(self, server: str) -> str:
        mark = self.left_out.get(server)
        if mark is None:
            return ""
        return f" (left out by run {mark.run_id} since {mark.since}: it is returned first)"

    def _same_keys(self) -> Verdict:
        distinct = set(self.fingerprints.values())
        complete = len(self.fingerprints) == len(self.cloud.nodes)
        measured = ", ".join(f"{name} {key[:12]}" for name, key in self.fingerprints.items())
        return finding(
            complete and len(distinct) == 1, "fernet keys", self.cloud.tokens.key_repository,
            measured or "none could be read", "the same keys on every node",
            "distribute the key repository to all nodes; freeze rotation for the run",
        )  # fmt: skip

    def _no_new_node_on_old_schema(self) -> Verdict:
        early = [
            name for name, found in self.releases.items() if same_build(self.cloud.target, found)
        ]
        schema = {True: "expanded and migrated", False: "not migrated", None: "unknown"}
        return finding(
            not early or self.expanded is True, "order", self.cloud.databases.schema_name,
            f"schema {schema[self.expanded]}, on {self.cloud.target}: {', '.join(early) or 'none'}",
            f"no node on {self.cloud.target} before expand and migrate",
            "take these nodes back to the source release: they fail on tables that do not exist",
        )  # fmt: skip

    def _balancer(self, balancer: str, found: Balancer) -> list[Verdict]:
        servers, level = found.servers(), found.level()
        inventory = {node.server: node.name for node in self.cloud.nodes}
        known = ", ".join(servers)
        verdicts = [
            finding(level == "admin", "level", balancer, level, "admin",
                    "add `level admin` to the stats socket"),
        ]  # fmt: skip
        verdicts += [
            finding(server in servers, "server", f"{balancer}/{server} of {name}",
                    "known" if server in servers else "unknown", f"one of {known}",
                    f"correct nodes.server of {name} in the cloud file")
            for server, name in inventory.items()
        ]  # fmt: skip
        verdicts += [
            finding(name in inventory, "inventory", f"{balancer}/{name}",
                    "in the cloud file" if name in inventory else "not in the cloud file",
                    "every server of the backend is a node of the cloud file",
                    "add the node, or remove the server from the backend")
            for name in servers
        ]  # fmt: skip
        verdicts += [
            finding(state.serving or name in self.left_out, "capacity", f"{balancer}/{name}",
                    f"{state.administrative}/{state.operational}{self._left_by(name)}", "ready/UP",
                    f"return {name} first; no upgrade took it out, so somebody else did")
            for name, state in servers.items()
        ]  # fmt: skip
        return verdicts

    def _versions(self) -> list[Verdict]:
        state = self.of.schema.versions()
        return [
            finding(state.in_order, "schema versions",
                    self.cloud.databases.schema_name, str(state),
                    "expand ≥ data_migrate ≥ contract", "find out who migrated out of order")
        ]  # fmt: skip

    def _keystone_account(self) -> list[Verdict]:
        return [self._privileges(self.cloud.databases.keystone, KEYSTONE_NEEDS)]

    def _administrator(self) -> list[Verdict]:
        name = self.cloud.databases.administrator
        accounts = self.of.accounts
        allowed, sees = accounts.has_any(name, SET_GLOBAL), accounts.has_any(name, SEE_SESSIONS)
        return [
            self._privileges(name, ADMINISTRATOR_NEEDS),
            finding(allowed, "SET GLOBAL", name, "allowed" if allowed else "not allowed",
                    "SUPER, BINLOG ADMIN or SYSTEM_VARIABLES_ADMIN on *.*",
                    "grant it: without it expand stops with error 1419"),
            finding(sees, "PROCESS", name, "allowed" if sees else "not allowed", "PROCESS on *.*",
                    "grant it: without it nobody sees who waits for a migration's locks"),
        ]  # fmt: skip

    def _privileges(self, connection: str, needed: tuple[str, ...]) -> Verdict:
        lacking = self.of.accounts.lacking(connection, needed, self.cloud.databases.schema_name)
        return finding(
            not lacking, "privileges", connection,
            f"missing {', '.join(lacking)}" if lacking else "complete", ", ".join(needed),
            f"GRANT {', '.join(lacking)} to the account of connection {connection}",
        )  # fmt: skip

    def _image(self) -> list[Verdict]:
        image = self.of.engine.image
        name = self.cloud.upgrade_container.image
        image.digest()
        release = image.release()
        state = migration_state(self.of)
        reason = refused(state)
        self.expanded = reason is None and all(
            state.is_done(phase) for phase in (Phase.EXPAND, Phase.MIGRATE)
        )
        problems = image.configuration_findings()
        return [
            finding(same_build(self.cloud.target, release), "image", name, release,
                    self.cloud.target, "use the image of the target release"),
            finding(not problems, "configuration", self.cloud.upgrade_container.configuration,
                    "; ".join(problems) or "complete", "a directory with keystone.conf",
                    "prepare the target release's configuration there"),
            finding(reason is None, "heads", name, reason or f"database at {state}",
                    f"at most {state.image}",
                    "choose the release that follows the one this database belongs to"),
        ]  # fmt: skip

    def _api(self) -> list[Verdict]:
        keystone = self.of.keystone
        keystone.check()
        return [
            finding(True, "administrator", keystone.url, "token issued and validated", "valid", "")
        ]

    def _backup(self) -> list[Verdict]:
        backups = self.of.backups
        free, missing = backups.free_bytes(), backups.client_missing()
        limit = self.cloud.limits.backup_free_bytes + 2 * self.of.schema.size()
        return [
            finding(free >= limit, "free space", str(backups.folder), f"{free >> 20} MiB",
                    f"at least {limit >> 20} MiB", "free space, or choose another directory"),
            finding(missing is None, "client", "mariadb-dump", missing or "installed",
                    "installed", "install a MariaDB or MySQL client on the worker"),
        ]  # fmt: skip

    def _room(self, folder: Path) -> list[Verdict]:
        """Check the free space of a folder, and that a file can be written there."""
        disk, limit = self.of.disk, self.cloud.limits.free_bytes
        free, problem = disk.free_bytes(folder), disk.not_writable(folder)
        measured = f"not writable: {problem}" if problem else f"{free >> 20} MiB"
        return [
            finding(problem is None and free >= limit, "free space", str(folder), measured,
                    f"writable, at least {limit >> 20} MiB (limits.free_bytes)",
                    "free space there, or choose another folder with ROLLOUT_RUNS or TMPDIR")
        ]  # fmt: skip
