"""Describe one cloud: what is upgraded, how its nodes are handled, and which limits hold.

A cloud file holds no secret: it names Airflow connections, which hold them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    StrictBool,
    ValidationInfo,
    model_validator,
)

from keystone_rollout.domain.cloud.notifications import Notification
from keystone_rollout.domain.cloud.rehearsal import Rehearsal, staging_findings
from keystone_rollout.domain.cloud.tls import Tls
from keystone_rollout.domain.load.limits import LoadLimits
from keystone_rollout.domain.load.profile import LoadProfile
from keystone_rollout.domain.node.steps import NodeSteps
from keystone_rollout.domain.releases.identity import Identity, parse_identity
from keystone_rollout.domain.releases.release import check_hop, read_committed_reasons
from keystone_rollout.domain.section import Section


def _known_release(text: str) -> str:
    parse_identity(text)
    return text


ReleaseVersion = Annotated[str, AfterValidator(_known_release)]
Name = Annotated[str, Field(min_length=1, pattern=r"^[A-Za-z0-9_.-]+$")]


ANY_HOP = "any_hop"

UNIQUE = {"nodes": ("name", "ssh", "server", "url"), "load_balancers": ("name",)}
"""Sections whose entries have to differ from each other, and in which keys."""


class UpgradeContainer(Section):
    """The container in which `keystone-manage` of the target release runs, outside the nodes."""

    image: str = Field(description="image of the target release")
    network: str = Field("host", description="Docker network from which the database is reached")
    configuration: str = Field(
        description="directory on the Docker host, mounted read-only as /etc/keystone"
    )
    command: list[str] = Field(
        ["keystone-manage", "--log-file", "/dev/stdout"],
        description="what runs keystone-manage so that keystone.log is the container's output",
        min_length=1,
    )
    user: str | None = Field(None, description="user in the container; the image's by default")


class Databases(Section):
    """The connections to the database, by the right that each of them needs."""

    reader: Name = Field(description="may SELECT the keystone schema")
    keystone: Name = Field(description="Keystone's own account, with which migrations run")
    administrator: Name = Field(description="may SET GLOBAL, dump, and create schemas")
    schema_name: Name = Field("keystone", alias="schema", description="Keystone's schema")


class LoadBalancer(Section):
    """One HAProxy in front of the nodes; servers are drained and returned on every one."""

    name: Name = Field(description="as it is called in logs and reports")
    connection: Name = Field(description="host and port of the runtime API (level admin)")
    backend: Name = Field(description="backend that holds the Keystone servers")
    statistics: str | None = Field(
        None,
        pattern=r"^https?://[^\s]+$",
        description="URL of its statistics page, for people: node tasks link to it",
    )


class Api(Section):
    """The way on which clients reach Keystone."""

    connection: Name = Field(description="URL past the load balancer, and an administrator")


class Node(Section):
    """One Keystone node."""

    name: Name = Field(description="as it is called in logs and reports")
    ssh: Name = Field(description="SSH connection; its extra pins the host key")
    server: Name = Field(description="the node's server name in HAProxy")
    url: str = Field(description="URL of Keystone on this node, past the load balancer")


class Tokens(Section):
    """The kind of tokens; keys have to be identical on all nodes."""

    provider: Literal["fernet"] = Field("fernet", description="kind of tokens")
    key_repository: str = Field(
        "/etc/keystone/fernet-keys", description="directory of the keys, on each node"
    )


class Doctor(Section):
    """The policy for `keystone-manage doctor`, which exits 1 on any symptom."""

    accepted_symptoms: list[str] = Field(
        [],
        description="symptoms that are deliberate, each as a part of the line doctor prints",
    )


class Load(Section):
    """The load that proves the upgrade."""

    profile: LoadProfile = Field(
        default_factory=LoadProfile, description="which actions, how often, by how many clients"
    )
    run_time: int = Field(14400, ge=60, description="seconds after which the load ends itself")
    allow_host: str | None = Field(
        None, description="host name outside this machine that the load may go to"
    )
    clean_up: bool = Field(
        True, description="remove what the load made, once every acknowledged write was found"
    )


class NodeLimits(Section):
    """The limits of one node's cycle, in seconds."""

    drain_seconds: float = Field(60.0, gt=0, description="for the sessions to reach 0")
    up_seconds: float = Field(60.0, gt=0, description="for HAProxy to see the server UP")
    start_seconds: float = Field(90.0, gt=0, description="for the started service to issue a token")
    command_seconds: float = Field(600.0, gt=0, description="for any one command on a node")
    stable_seconds: float = Field(3.0, ge=0, description="the server has to stay UP")
    min_ready_servers: int = Field(1, ge=1, description="that keep serving while one is out")
    cut_sessions: bool = Field(
        False,
        description="end the sessions that are left after drain_seconds, instead of giving up",
    )


class Limits(Section):
    """The limits of a run."""

    load: LoadLimits = Field(default_factory=LoadLimits, description="what the load may suffer")
    node: NodeLimits = Field(
        default_factory=NodeLimits, description="how long a node's cycle may take"
    )
    connect_seconds: int = Field(
        10, ge=1, description="for the database and HAProxy to take a connection and answer on it"
    )
    answer_seconds: int = Field(
        60, ge=1, description="for one answer of Docker, and for a node to start a command"
    )
    statement_seconds: int = Field(
        600,
        ge=1,
        description="for one answer of the database; a dump or load may stand still as long",
    )
    dump_seconds: int = Field(
        86400, ge=1, description="for one dump of the database, and for one load of it"
    )
    lock_wait_timeout: int = Field(
        5, ge=1, description="seconds that a migration waits for a metadata lock, then gives up"
    )
    phase_seconds: int = Field(
        3600, ge=1, description="for one run of keystone-manage, from its container's start on"
    )
    approval_seconds: int = Field(3600, ge=10, description="until the approval counts as rejected")
    lock_stale_seconds: int = Field(
        300, ge=1, description="of silence after which a dead run's lock may be broken"
    )
    teardown_seconds: float = Field(
        300.0,
        ge=0,
        description="for what ends a run (resetting variables, returning nodes, stopping the load, "
        "releasing the lock): it is tried again as long, if anything does not answer",
    )
    backup_free_bytes: int = Field(
        1 << 30, ge=0, description="free space that the backup directory has to have"
    )
    free_bytes: int = Field(
        256 << 20,
        ge=0,
        description="free space that the folder of all runs has to have, and that of temporary "
        "files",
    )


class Cloud(Section):
    """Everything that an upgrade has to know about one cloud."""

    name: Name = Field(description="as the cloud is called in logs, reports and its lock")
    source: ReleaseVersion = Field(
        description="release that the nodes run now: `12.0.3`, `27.0.1.dev7`, or a package's full "
        "version such as `2:29.0.0-0ubuntu1.2`; `@sha256:…` of an image may follow"
    )
    target: ReleaseVersion = Field(description="release that they should run, written alike")
    upgrade_container: UpgradeContainer = Field(description="where keystone-manage runs")
    databases: Databases = Field(description="connections to the database")
    load_balancers: list[LoadBalancer] = Field(
        min_length=1, description="every HAProxy in front of the nodes, idle ones included"
    )
    api: Api = Field(description="how clients reach Keystone")
    tls: Tls = Field(default_factory=Tls, description="whose certificates are trusted")
    nodes: list[Node] = Field(
        min_length=1, description="in the order in which they are upgraded; the first is the canary"
    )
    node_steps: NodeSteps = Field(description="with which commands a node is upgraded")
    tokens: Tokens = Field(default_factory=Tokens, description="how tokens are made")
    doctor: Doctor = Field(default_factory=Doctor, description="symptoms that are deliberate")
    load: Load = Field(default_factory=Load, description="the load that proves the upgrade")
    limits: Limits = Field(default_factory=Limits, description="what the run tolerates")
    read_committed: Literal["auto", "always", "never"] = Field(
        "auto",
        description="hold the server's transaction isolation at READ COMMITTED from before expand "
        "until after contract; auto: where the hop needs it",
    )
    backup_directory: str = Field(description="where the verified dump is kept")
    staging: StrictBool = Field(False, description="this cloud may be reset; no other one ever is")
    rehearsal: Rehearsal | None = Field(
        None, description="when this staging cloud rehearses its upgrade, and how it is reset"
    )
    notifications: list[Notification] = Field(
        [], description="who is told of what happens to a run; one that fails stops nothing"
    )

    @property
    def source_release(self) -> Identity:
        """Return the source release, parsed."""
        return parse_identity(self.source)

    @property
    def target_release(self) -> Identity:
        """Return the target release, parsed."""
        return parse_identity(self.target)

    @property
    def node_facts(self) -> dict[str, str]:
        """Return the facts of a cloud that templates of node steps may name."""
        return {
            "name": self.name,
            "source": self.source,
            "target": self.target,
            "key_repository": self.tokens.key_repository,
        }

    @property
    def holds_read_committed(self) -> bool:
        """Tell whether transactions have to be READ COMMITTED during the upgrade."""
        if self.read_committed == "auto":
            return bool(read_committed_reasons(self.source_release, self.target_release))
        return self.read_committed == "always"

    def node(self, name: str) -> Node:
        """Return the node of that name; KeyError names the ones there are."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(f"no node {name!r} in cloud {self.name}; it has {self.node_names}")

    @property
    def node_names(self) -> list[str]:
        """Return the nodes' names in the order in which they are upgraded."""
        return [node.name for node in self.nodes]

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Cloud:
        any_hop = bool(info.context and info.context.get(ANY_HOP))
        findings = inconsistencies(self.model_dump(by_alias=True), any_hop=any_hop)
        if findings:
            raise ValueError("; ".join(finding.message for finding in findings))
        return self


Data = Mapping[str, Any]
"""A cloud file before it is validated: anything that YAML knows."""


@dataclass(frozen=True)
class Inconsistency:
    """A contradiction in a cloud file, and its place."""

    location: tuple[str | int, ...]
    message: str


def inconsistencies(data: Data, *, any_hop: bool = False) -> list[Inconsistency]:
    """Return the contradictions, even if single values are wrong.

    Works on plain data, so that a file's findings come in one list and not in two rounds.
    ``any_hop`` leaves it to the caller whether the hop exists: a plan shows that with the rest.
    """
    staging = [Inconsistency(("rehearsal",), text) for text in staging_findings(data)]
    hop = [] if any_hop else list(_hop(data))
    return [*hop, *_duplicates(data), *_capacity(data), *staging]


def _hop(data: Data) -> Iterator[Inconsistency]:
    try:
        source, target = parse_identity(data["source"]), parse_identity(data["target"])
    except (KeyError, TypeError, ValueError):
        return
    refusal = check_hop(source, target)
    if refusal:
        yield Inconsistency(("target",), refusal)


def _rows(data: Data, key: str) -> list[Data]:
    rows = data.get(key)
    if not isinstance(rows, list):
        return []
    return [row if isinstance(row, Mapping) else {} for row in rows]


def _duplicates(data: Data) -> Iterator[Inconsistency]:
    for section, keys in UNIQUE.items():
        for key in keys:
            seen: list[object] = []  # not a set: a wrong value may be anything YAML knows
            for index, row in enumerate(_rows(data, section)):
                value = row.get(key)
                if value in seen:
                    yield Inconsistency(
                        (section, index, key),
                        f"{key} {value!r} is there more than once; each has to be unique",
                    )
                if value is not None:
                    seen.append(value)


def _capacity(data: Data) -> Iterator[Inconsistency]:
    names = [str(row.get("name")) for row in _rows(data, "nodes")]
    try:
        needed = int(data["limits"]["node"]["min_ready_servers"]) + 1
    except (KeyError, TypeError, ValueError):
        needed = 2
    if 0 < len(names) < needed:
        yield Inconsistency(
            ("nodes",),
            f"read {len(names)} ({', '.join(names)}); at least {needed} are needed, so that one "
            "can be out while the others serve",
        )


def cloud_from_data(data: Data, *, any_hop: bool = False) -> Cloud:
    """Validate plain data; pydantic.ValidationError holds every finding at once.

    See ``inconsistencies`` for ``any_hop``.
    """
    return Cloud.model_validate(data, context={ANY_HOP: any_hop})
