"""Make the systems of a run: the one place that makes the real ones, or replaces them.

Nothing is built before it is asked for: a connection that is missing fails the task that needs it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from airflow.providers.docker.hooks.docker import DockerHook

from keystone_rollout.domain.clock import Clock
from keystone_rollout.domain.cloud.model import Cloud, Node
from keystone_rollout.domain.load.credentials import KeystoneAccount
from keystone_rollout.domain.run.systems import Outside, Record, Systems
from keystone_rollout.domain.schema.difference import Difference
from keystone_rollout.domain.schema.target import PhaseTarget, live_target
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.clock.system import SYSTEM_CLOCK
from keystone_rollout.hooks.database.backup import DatabaseBackup
from keystone_rollout.hooks.database.client import client_missing
from keystone_rollout.hooks.database.comparison import SchemaReader, compare_rows, structures_differ
from keystone_rollout.hooks.database.connection import DatabaseHook
from keystone_rollout.hooks.database.keystone import (
    KeystoneDatabase,
    has_global_right,
    missing_privileges,
    read_table_sizes,
    wait_no_writers,
)
from keystone_rollout.hooks.database.loader import BackupLoad
from keystone_rollout.hooks.database.lock_watch import LockWatch
from keystone_rollout.hooks.database.marks import ServersOut
from keystone_rollout.hooks.database.restore_history import RestoreHistory
from keystone_rollout.hooks.database.sql import sql
from keystone_rollout.hooks.database.swap import SchemaSwap
from keystone_rollout.hooks.database.upgrade_lock import UpgradeLock
from keystone_rollout.hooks.database.variables import FunctionCreators, ReadCommitted
from keystone_rollout.hooks.docker.container import PhaseContainer
from keystone_rollout.hooks.docker.image import UpgradeImage
from keystone_rollout.hooks.files.backups import BackupStore
from keystone_rollout.hooks.files.cloud_file import load_cloud, project_path
from keystone_rollout.hooks.files.keystone_configuration import (
    PhaseConfiguration,
    find_option,
    phase_configuration,
)
from keystone_rollout.hooks.files.run_directory import RunDirectory, read_estimate
from keystone_rollout.hooks.files.whole_file import remove_unfinished
from keystone_rollout.hooks.haproxy.servers import Servers
from keystone_rollout.hooks.keystone.acknowledged_writes import AcknowledgedWritesHook
from keystone_rollout.hooks.keystone.api import KeystoneApiHook, NodeProver
from keystone_rollout.hooks.locust.generator import LoadGeneratorHook
from keystone_rollout.hooks.node.all_nodes import AllNodes
from keystone_rollout.hooks.notifiers.choice import make_notifier, problem
from keystone_rollout.hooks.processes.command import run_outside
from keystone_rollout.hooks.processes.upgrade_here import UpgradeHere
from keystone_rollout.hooks.trust.certificates import refused


class RealSchema(KeystoneDatabase):
    """Keystone's schema, on the cloud's database server."""

    def __init__(self, cloud: Cloud, clock: Clock, target: PhaseTarget) -> None:
        super().__init__(cloud, target)
        self.cloud = cloud
        self.clock = clock
        self.live = SchemaReader(target.administrator, target.schema, cloud.tls, cloud.limits)

    def table_sizes(self) -> dict[str, dict[str, int]]:
        """Return every table's rows and bytes, see read_table_sizes."""
        return read_table_sizes(self.reader, self.schema)

    def writers(self) -> list[str]:
        """Wait until nobody else is left, see wait_no_writers."""
        return wait_no_writers(self.cloud, clock=self.clock)

    def watch_locks(self, phase: str, lock_wait_timeout: int) -> LockWatch:
        """Return a watch that begins with its block."""
        return LockWatch(self, phase, lock_wait_timeout, self.clock)


class RealAccounts:
    """The accounts of Airflow's connections to the database."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def lacking(self, connection: str, needed: tuple[str, ...], schema: str) -> list[str]:
        """Return the privileges that an account lacks."""
        return missing_privileges(self._hook(connection), needed, schema)

    def has_any(self, connection: str, any_of: tuple[str, ...]) -> bool:
        """Tell whether an account has one of these on *.*."""
        return has_global_right(self._hook(connection), any_of)

    def protects_triggers(self, connection: str) -> bool:
        """Tell whether the server lets only SUPER make triggers."""
        row = self._hook(connection).get_first(sql("select_trigger_protection"))
        return bool(row[0])

    def _hook(self, connection: str) -> DatabaseHook:
        return DatabaseHook(connection, self.cloud.tls, limits=self.cloud.limits)


class RealVariables:
    """The variables of the cloud's database server."""

    def __init__(self, cloud: Cloud) -> None:
        self.function_creators = FunctionCreators(cloud)
        self.read_committed = ReadCommitted(cloud)


class RealEngine:
    """This machine's Docker."""

    def __init__(self, cloud: Cloud, clock: Clock) -> None:
        self.container = PhaseContainer(cloud, clock)
        self.image = UpgradeImage(cloud)

    @property
    def hook(self) -> DockerHook:
        """Return the hook that reaches it."""
        return self.container.hook


class RealKeystone:
    """Keystone's API, through the cloud's connection."""

    def __init__(self, cloud: Cloud, clock: Clock) -> None:
        self.connection = cloud.api.connection
        self.clock = clock
        self.tls = cloud.tls
        self.timeout = cloud.load.profile.timeout
        self.api = KeystoneApiHook(self.connection, timeout=self.timeout, tls=self.tls)

    @property
    def url(self) -> str:
        """Return the URL that clients use."""
        return self.api.url

    def account(self) -> KeystoneAccount:
        """Return the administrator."""
        return KeystoneAccount(auth_url=self.api.url, **self.api.credentials())

    def check(self) -> None:
        """Issue a token and validate it; ProofFailed quotes any other answer."""
        self.api.validate_token(self.api.issue_token())

    def prover(self, node: Node, start_seconds: float, elsewhere: str | None = None) -> NodeProver:
        """Return the prover of a node."""
        return NodeProver(
            self.connection, node.url, start_seconds, elsewhere, self.clock,
            timeout=self.timeout, tls=self.tls,
        )  # fmt: skip

    def writes(self, account: KeystoneAccount) -> AcknowledgedWritesHook:
        """Return the check of the load's writes."""
        return AcknowledgedWritesHook(account, timeout=self.timeout, tls=self.tls, clock=self.clock)

    refused = staticmethod(refused)


class RealLoad:
    """Locust, on this machine."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def session(self, folder: Path) -> LoadGeneratorHook:
        """Return the session of a folder."""
        return LoadGeneratorHook(folder, self.clock)


class RealBackups(BackupStore):
    """The backups in the cloud file's folder."""

    def free_bytes(self) -> int:
        """Return the free space for the folder, which may not exist yet."""
        return RealDisk().free_bytes(self.folder)

    client_missing = staticmethod(client_missing)

    def verify(self, name: str) -> tuple[Path, Verdict]:
        """Dump and compare, see DatabaseBackup."""
        return DatabaseBackup(self.cloud, self.folder).verify(name)


class RealScratch(BackupLoad):
    """The scratch schema beside the live one."""

    def __init__(self, cloud: Cloud, beside: SchemaReader) -> None:
        super().__init__(cloud)
        self.cloud = cloud
        self.beside = beside

    def differing(self, triggers: bool) -> list[str]:
        """Return the differences in structure from the live schema."""
        return structures_differ(self.beside, self.schema, triggers)

    def loss(self) -> Difference:
        """Count the rows that are not the live schema's."""
        return compare_rows(self.beside, self.schema)

    def swap(self, replaced: str) -> SchemaSwap:
        """Return the swap that moves the live tables into schema ``replaced``."""
        return SchemaSwap(self.cloud, replaced)


class RealConfiguration:
    """Files of Keystone's configuration."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def option(self, folder: str, section: str, option: str) -> str | None:
        """Return the value that counts; ConfigurationUnreadable."""
        found = find_option(project_path(folder), section, option)
        return found[1] if found else None

    def phase(self, target: PhaseTarget) -> PhaseConfiguration:
        """Return a phase's additions; PhaseConfigurationError if they cannot be made."""
        return phase_configuration(self.cloud, target)


class RealPrograms:
    """Programs on this machine."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def run(self, command: list[str], seconds: float) -> None:
        """Run a program to its end; CommandFailed."""
        run_outside(command, seconds, self.clock)

    def upgrade(self, conf: Mapping[str, Any]) -> UpgradeHere:
        """Return an upgrade that is not started yet."""
        return UpgradeHere(conf, self.clock)


class RealDisk:
    """The disks of this machine."""

    remove_unfinished = staticmethod(remove_unfinished)

    def free_bytes(self, folder: Path) -> int:
        """Return the free space for a folder, which may not exist yet."""
        return shutil.disk_usage(_existing(folder)).free

    def not_writable(self, folder: Path) -> str | None:
        """Say why no file can be written into a folder or what it will be made in."""
        try:
            with tempfile.TemporaryFile(dir=_existing(folder)) as file:
                file.write(b"whether a file can be written")
        except OSError as error:
            return error.strerror or str(error)
        return None


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


class RealSystems:
    """The real systems of one run (keystone_rollout.domain.run.systems.Systems)."""

    def __init__(
        self, cloud: Cloud, record: Record, break_run: str = "", clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.cloud = cloud
        self.record = record
        self.break_run = break_run
        self.clock = clock

    @cached_property
    def lock(self) -> UpgradeLock:
        return UpgradeLock(self.cloud, self.record.identity(), self.break_run)

    @cached_property
    def marks(self) -> ServersOut:
        return ServersOut(self.cloud)

    @cached_property
    def balancers(self) -> Servers:
        return Servers(self.cloud, self.clock)

    @cached_property
    def nodes(self) -> AllNodes:
        return AllNodes(self.cloud, clock=self.clock)

    @cached_property
    def schema(self) -> RealSchema:
        return self.schema_of(live_target(self.cloud))

    def schema_of(self, target: PhaseTarget) -> RealSchema:
        return RealSchema(self.cloud, self.clock, target)

    @cached_property
    def accounts(self) -> RealAccounts:
        return RealAccounts(self.cloud)

    @cached_property
    def variables(self) -> RealVariables:
        return RealVariables(self.cloud)

    @cached_property
    def engine(self) -> RealEngine:
        return RealEngine(self.cloud, self.clock)

    @cached_property
    def keystone(self) -> RealKeystone:
        return RealKeystone(self.cloud, self.clock)

    @cached_property
    def load(self) -> RealLoad:
        return RealLoad(self.clock)

    @cached_property
    def backups(self) -> RealBackups:
        return RealBackups(self.cloud)

    @cached_property
    def scratch(self) -> RealScratch:
        return RealScratch(self.cloud, self.schema.live)

    @cached_property
    def restores(self) -> RestoreHistory:
        return RestoreHistory(self.cloud)

    @cached_property
    def configuration(self) -> RealConfiguration:
        return RealConfiguration(self.cloud)

    @cached_property
    def programs(self) -> RealPrograms:
        return RealPrograms(self.clock)

    @cached_property
    def disk(self) -> RealDisk:
        return RealDisk()


class RealNotifiers:
    """Airflow's notifiers."""

    make = staticmethod(make_notifier)
    problem = staticmethod(problem)


class RealOutside:
    """This machine (keystone_rollout.domain.run.systems.Outside)."""

    clock: Clock = SYSTEM_CLOCK
    notifiers = RealNotifiers()

    cloud = staticmethod(load_cloud)
    existing = staticmethod(RunDirectory.existing)
    identities = staticmethod(RunDirectory.identities)
    estimate = staticmethod(read_estimate)

    def record(self, run_id: str, folder: Path | None = None, dag: str = "") -> RunDirectory:
        """Return a run's folder."""
        return RunDirectory(run_id, folder, self.clock, dag=dag)

    def systems(self, cloud: Cloud, record: Record, break_run: str) -> Systems:
        """Return the real systems of a cloud."""
        return RealSystems(cloud, record, break_run, self.clock)


_outside: Outside = RealOutside()


def outside() -> Outside:
    """Return the outside of every run of this process."""
    return _outside


@contextmanager
def replaced(other: Outside) -> Iterator[None]:
    """Let every run of this process find something else outside while the block runs.

    The one place to put a simulated cloud in: procedures, operators and DAGs stay the real ones.
    """
    global _outside
    before, _outside = _outside, other
    try:
        yield
    finally:
        _outside = before
