"""Check everything an upgrade will need, before anything is touched."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from airflow.providers.mysql.hooks.mysql import MySqlHook

from keystone_rollout.domain.cloud.model import Cloud, Node
from keystone_rollout.domain.node.cycle import parse_release_report
from keystone_rollout.domain.node.steps import Step
from keystone_rollout.domain.releases.identity import same_build
from keystone_rollout.domain.run.lock import RunIdentity
from keystone_rollout.domain.schema.state import refused
from keystone_rollout.domain.schema.versions import Phase
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.database.client import client_missing
from keystone_rollout.hooks.database.keystone import (
    ADMINISTRATOR_NEEDS,
    KEYSTONE_NEEDS,
    SEE_SESSIONS,
    SET_GLOBAL,
    KeystoneDatabase,
    has_global_right,
    missing_privileges,
)
from keystone_rollout.hooks.database.marks import Mark, ServersOut
from keystone_rollout.hooks.database.upgrade_lock import UpgradeLock
from keystone_rollout.hooks.docker.image import UpgradeImage
from keystone_rollout.hooks.files.cloud_file import project_path
from keystone_rollout.hooks.files.run_directory import runs_folder
from keystone_rollout.hooks.haproxy.runtime import HaproxyRuntimeHook, balancers
from keystone_rollout.hooks.keystone.api import KeystoneApiHook
from keystone_rollout.hooks.locust.generator import LoadGeneratorHook
from keystone_rollout.hooks.node.machine import NodeMachine
from keystone_rollout.procedures.plan.reader import migration_state
from keystone_rollout.procedures.preflight.hop import HopChecks
from keystone_rollout.procedures.run.end import InterruptedRun

UNTOUCHED = "nothing was touched"
NAMED_AT_MOST = 5
"""Commands that a finding names; more of them say no more."""


def finding(
    ok: bool, check: str, subject: str, measured: str, limit: str, next_step: str
) -> Verdict:
    """Return a verdict whose consequence is that the upgrade has not begun."""
    return Verdict(ok, check, subject, measured, limit, UNTOUCHED, next_step)


class PreflightChecks:
    """Run every check at once; one that cannot be made is a finding, not an abort.

    :param lock: the cloud's lock as this run sees it; whoever holds it is the first finding
    """

    def __init__(self, cloud: Cloud, lock: UpgradeLock | None = None) -> None:
        self.cloud = cloud
        self.lock = lock or UpgradeLock(cloud, RunIdentity(""))
        self.left_out: dict[str, Mark] = {}
        self.fingerprints: dict[str, str] = {}
        self.releases: dict[str, str] = {}
        self.expanded: bool | None = None
        self.hop = HopChecks(cloud)

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
        for name, hook in balancers(self.cloud).items():
            yield name, partial(self._balancer, name, hook)
        yield databases.reader, self._versions
        yield databases.keystone, self._keystone_account
        yield databases.administrator, self._administrator
        yield self.cloud.upgrade_container.image, self._image
        yield f"{self.cloud.source} → {self.cloud.target}", partial(self.hop.run, self.releases)
        yield self.cloud.api.connection, self._api
        yield "backup", self._backup
        yield "record", partial(self._room, runs_folder())
        yield "temporary files", partial(self._room, Path(tempfile.gettempdir()))
        yield "load", self._load_port

    def _lock(self) -> list[Verdict]:
        self.left_out = ServersOut(self.cloud).all()
        verdict = self.lock.judge()
        return [replace(verdict, consequence=UNTOUCHED)]

    def _node(self, node: Node) -> list[Verdict]:
        machine, cloud = NodeMachine(self.cloud, node), self.cloud
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
        return f" (left out by run {mark.run_id} since {mark.since}: it is brought back first)"

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

    def _balancer(self, balancer: str, hook: HaproxyRuntimeHook) -> list[Verdict]:
        servers, level = hook.servers(), hook.level()
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
                    f"bring {name} back first; no upgrade took it out, so somebody else did")
            for name, state in servers.items()
        ]  # fmt: skip
        return verdicts

    def _versions(self) -> list[Verdict]:
        state = KeystoneDatabase(self.cloud).versions()
        return [
            finding(state.in_order, "schema versions",
                    self.cloud.databases.schema_name, str(state),
                    "expand ≥ data_migrate ≥ contract", "find out who migrated out of order")
        ]  # fmt: skip

    def _keystone_account(self) -> list[Verdict]:
        return [self._privileges(self.cloud.databases.keystone, KEYSTONE_NEEDS)]

    def _administrator(self) -> list[Verdict]:
        name = self.cloud.databases.administrator
        hook = MySqlHook(mysql_conn_id=name)
        allowed, sees = has_global_right(hook, SET_GLOBAL), has_global_right(hook, SEE_SESSIONS)
        return [
            self._privileges(name, ADMINISTRATOR_NEEDS),
            finding(allowed, "SET GLOBAL", name, "allowed" if allowed else "not allowed",
                    "SUPER, BINLOG ADMIN or SYSTEM_VARIABLES_ADMIN on *.*",
                    "grant it: without it expand stops with error 1419"),
            finding(sees, "PROCESS", name, "allowed" if sees else "not allowed", "PROCESS on *.*",
                    "grant it: without it nobody sees who waits for a migration's locks"),
        ]  # fmt: skip

    def _privileges(self, connection: str, needed: tuple[str, ...]) -> Verdict:
        hook = MySqlHook(mysql_conn_id=connection)
        lacking = missing_privileges(hook, needed, self.cloud.databases.schema_name)
        return finding(
            not lacking, "privileges", connection,
            f"missing {', '.join(lacking)}" if lacking else "complete", ", ".join(needed),
            f"GRANT {', '.join(lacking)} to the account of connection {connection}",
        )  # fmt: skip

    def _image(self) -> list[Verdict]:
        image = UpgradeImage(self.cloud)
        name = self.cloud.upgrade_container.image
        image.digest()
        release = image.release()
        state = migration_state(self.cloud, image)
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
        hook = KeystoneApiHook(self.cloud.api.connection)
        hook.validate_token(hook.issue_token())
        return [finding(True, "administrator", hook.url, "token issued and validated", "valid", "")]

    def _backup(self) -> list[Verdict]:
        folder = project_path(self.cloud.backup_directory)
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(existing).free
        limit = self.cloud.limits.backup_free_bytes + 2 * KeystoneDatabase(self.cloud).size()
        missing = client_missing()
        return [
            finding(free >= limit, "free space", str(folder), f"{free >> 20} MiB",
                    f"at least {limit >> 20} MiB", "free space, or choose another directory"),
            finding(missing is None, "client", "mariadb-dump", missing or "installed",
                    "installed", "install a MariaDB or MySQL client on the worker"),
        ]  # fmt: skip

    def _room(self, folder: Path) -> list[Verdict]:
        """Check the free space of a folder, and that a file can be written there."""
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        free, limit = shutil.disk_usage(existing).free, self.cloud.limits.free_bytes
        measured = f"{free >> 20} MiB"
        try:
            with tempfile.TemporaryFile(dir=existing) as file:
                file.write(b"whether a file can be written")
        except OSError as error:
            free, measured = -1, f"not writable: {error.strerror}"
        return [
            finding(free >= limit, "free space", str(folder), measured,
                    f"writable, at least {limit >> 20} MiB (limits.free_bytes)",
                    "free space there, or choose another folder with ROLLOUT_RUNS or TMPDIR")
        ]  # fmt: skip

    def _load_port(self) -> list[Verdict]:
        port = self.cloud.load.web_port
        with socket.socket() as probe:
            free = probe.connect_ex(("127.0.0.1", port)) != 0
        measured = "free" if free else "occupied"
        broken = None if free else self._load_of_broken_run()
        if broken is not None and broken.is_alive():
            free, measured = True, f"load of run {self.lock.break_run}, which is stopped first"
        return [
            finding(free, "load page", f"127.0.0.1:{port}", measured,
                    "free", "end the load of an earlier run, or change load.web_port")
        ]  # fmt: skip

    def _load_of_broken_run(self) -> LoadGeneratorHook | None:
        holder = self.lock.holder() if self.lock.break_run else None
        if holder is None or holder.run_id != self.lock.break_run:
            return None
        return InterruptedRun(holder.run_id, holder.token).load()
