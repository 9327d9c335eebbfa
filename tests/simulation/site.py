"""The state of a simulated cloud, and the rules that hold at each moment of any run."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.load.samples import Sample
from keystone_rollout.domain.run.lock import Mark
from keystone_rollout.domain.schema.difference import Difference
from keystone_rollout.domain.schema.versions import REPOSITORIES, Phase, RecordedVersions
from tests.simulation.world import Effect, Fault, World
from tests.stand_ins.image_listings import image_of

SOURCE, TARGET = "12.0.3", "13.0.4"
SOURCE_HEAD = 24
IMAGE = image_of(TARGET)
HEADS = {phase: int(IMAGE.head(phase)) for phase in Phase}
UP_SECONDS = 1.0
SESSION_SECONDS = 2.0
SAMPLE_SECONDS = 5
SURPRISE_SECONDS = 10.0
"""Nobody can see a person's act between a look and the act that follows it."""
RATE = 60
CREATORS, ISOLATION = "log_bin_trust_function_creators", "transaction_isolation"
ORIGINALS = {CREATORS: "0", ISOLATION: "REPEATABLE-READ"}


def _clock(passed: float) -> int:
    return int(passed * 1000) + 10**7


def token_of(run_id: str) -> str:
    """Return a run's token: not random, so that a story is told again exactly."""
    return sha256(run_id.encode()).hexdigest()[:32]


class Violation(NamedTuple):
    """A broken rule."""

    kind: str
    text: str


@dataclass
class SimulatedNode:
    """One machine: what is installed on it, and what its service was started from."""

    name: str
    server: str
    installed: str = SOURCE
    configured: str = SOURCE
    installed_at: float = 0.0
    kept: set[str] = field(default_factory=set)
    running: bool = True
    runs: str = SOURCE
    started: float = -UP_SECONDS
    proven: bool = True
    """Whether this very process was shown to issue and to validate tokens."""
    noted: str = ""
    """The report of the process that step `start` has started."""

    def report(self, now: float) -> str:
        """Return what step `report_release` prints, in thousandths of a second."""
        packages = f"{self.installed} {_clock(self.installed_at - UP_SECONDS)}"
        if not self.running:
            return f"{packages} stopped"
        return f"{packages} {_clock(self.started)} boot.{_clock(self.started)} {_clock(now)}"


@dataclass
class SimulatedServer:
    """What one HAProxy was told about a server."""

    admin: str = "ready"
    since: float = -SESSION_SECONDS


@dataclass
class Tables:
    """One schema."""

    versions: dict[Phase, int] = field(default_factory=lambda: dict.fromkeys(Phase, SOURCE_HEAD))
    rows: int = 1000
    triggers: bool = True
    """Whether its triggers are there, which a swap takes away for a while."""
    loaded: str = ""
    """The dump that was put into it completely."""

    def recorded(self) -> RecordedVersions:
        numbers = {REPOSITORIES[phase]: at for phase, at in self.versions.items()}
        return RecordedVersions({"keystone": 109, **numbers})

    def serves(self, release: str) -> bool:
        """Tell whether a node of a release works on it."""
        if release == SOURCE:
            return self.versions[Phase.CONTRACT] <= SOURCE_HEAD
        return all(self.versions[phase] >= HEADS[phase] for phase in (Phase.EXPAND, Phase.MIGRATE))

    def copy(self, loaded: str = "") -> Tables:
        return Tables(dict(self.versions), self.rows, self.triggers, loaded)


@dataclass
class RestoreRow:
    """One restore, as the cloud's database keeps it."""

    replaced: str
    backup: str
    run_id: str
    began: float
    swapped: float | None = None
    lost: Difference | None = None
    served: float | None = None
    ended: float | None = None
    outcome: str = ""


@dataclass
class Container:
    """The container of keystone-manage; a phase in it goes on whoever dies."""

    command: list[str]
    labels: dict[str, str]
    status: str = "created"
    started: float = 0.0
    statements: list[tuple[float, Phase, int]] = field(default_factory=list)
    """When each takes effect, its phase, and the version that it records."""
    ends: float = 0.0
    exit: int = 0


@dataclass
class LoadProcess:
    """One session of the load."""

    ends: float
    """By itself."""
    alive: bool = True
    samples: list[Sample] = field(default_factory=list)
    failures: int = 0
    """Since the last sample."""
    sampled: float = 0.0


@dataclass
class Site:
    """Everything outside."""

    world: World
    cloud: Cloud
    nodes: dict[str, SimulatedNode] = field(init=False)
    balancers: dict[str, dict[str, SimulatedServer]] = field(init=False)
    schemas: dict[str, Tables] = field(default_factory=lambda: {"keystone": Tables()})
    variables: dict[str, str] = field(default_factory=lambda: dict(ORIGINALS))
    saved: dict[str, str] = field(default_factory=dict)
    lock: tuple[str, float] | None = None
    """Who holds it, and when it last said so."""
    marks: dict[str, Mark] = field(default_factory=dict)
    restores: list[RestoreRow] = field(default_factory=list)
    container: Container | None = None
    loads: dict[str, LoadProcess] = field(default_factory=dict)
    backups: dict[str, Tables] = field(default_factory=dict)
    described: dict[str, object] = field(default_factory=dict)
    by_person: set[str] = field(default_factory=set)
    """Servers that a person has taken out."""
    approved: bool = True
    run_id: str = ""
    """The run that works at the moment."""
    violations: list[Violation] = field(default_factory=list)
    surprised: float = 0.0
    """Until when a server may be drained on top of the one that a person has taken out."""
    _ready: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.nodes = {each.name: SimulatedNode(each.name, each.server) for each in self.cloud.nodes}
        self.balancers = {
            balancer.name: {each.server: SimulatedServer() for each in self.cloud.nodes}
            for balancer in self.cloud.load_balancers
        }
        self.world.passing.append(self.passes)
        self.world.changed.append(self.check)
        self.world.by_hand.append(self.take_out)
        self._ready = self._counted()

    @property
    def live(self) -> Tables:
        return self.schemas["keystone"]

    def of_server(self, server: str) -> SimulatedNode:
        return next(each for each in self.nodes.values() if each.server == server)

    def is_up(self, node: SimulatedNode) -> bool:
        return node.running and self.world.passed - node.started >= UP_SECONDS

    def works(self, node: SimulatedNode) -> bool:
        """Tell whether a request to this node succeeds."""
        fits = node.configured == node.runs and self.live.serves(node.runs)
        return self.is_up(node) and fits and self.live.triggers

    def in_rotation(self, node: SimulatedNode) -> bool:
        """Tell whether any balancer may send it a request."""
        return any(servers[node.server].admin == "ready" for servers in self.balancers.values())

    def serving(self) -> list[str]:
        """Return the nodes that every balancer sends requests to."""
        return [
            node.name
            for node in self.nodes.values()
            if self.is_up(node)
            and all(servers[node.server].admin == "ready" for servers in self.balancers.values())
        ]

    def is_outage(self) -> bool:
        """Tell whether a restore has planned that nobody serves."""
        return any(not each.outcome for each in self.restores)

    def take_out(self, fault: Fault) -> None:
        """Let a person take out the server that is out already, or the first; or the one after."""
        names = [node.server for node in self.cloud.nodes]
        at_work = names.index((self.out() or names)[0])
        server = names[(at_work + int(fault is Fault.ANOTHER_TAKEN_OUT)) % len(names)]
        for servers in self.balancers.values():
            servers[server].admin, servers[server].since = "maint", self.world.passed
        self.by_person.add(server)
        self.surprised = self.world.passed + SURPRISE_SECONDS
        self._ready = self._counted()

    def return_servers(self) -> None:
        """Let that person set ready again what works."""
        for server in self.by_person:
            node = self.of_server(server)
            if self.works(node) and node.proven:
                for servers in self.balancers.values():
                    servers[server].admin = "ready"
        self.by_person.clear()

    def out(self) -> list[str]:
        """Return the servers that a balancer does not send requests to, because it was told so."""
        return sorted({
            server for servers in self.balancers.values()
            for server, told in servers.items() if told.admin != "ready"
        })  # fmt: skip

    def passes(self, seconds: float) -> None:
        """Let containers and clients go on for a while."""
        end = self.world.passed + seconds
        if self.container and self.container.status == "running":
            self._migrate(self.container, end)
        for load in self.loads.values():
            if load.alive:
                self._sample(load, min(end, load.ends))
                load.alive = end < load.ends

    def _migrate(self, container: Container, end: float) -> None:
        while container.statements and container.statements[0][0] <= end:
            _, phase, version = container.statements.pop(0)
            self._check_phase(phase)
            self.live.versions[phase] = version
        if container.ends <= end:
            container.status = "exited"

    def _sample(self, load: LoadProcess, end: float) -> None:
        broken = not self.serving() or any(
            self.in_rotation(node) and not self.works(node) for node in self.nodes.values()
        )
        load.failures += int(broken)
        while load.sampled + SAMPLE_SECONDS <= end:
            now = int(self.world.now() - self.world.passed + load.sampled)
            requests = SAMPLE_SECONDS * RATE
            load.samples.append(Sample(
                now, requests, min(load.failures, requests), 20, now + 0.9, 0.1,
                {50.0: requests}, {"validate_token": (requests, load.failures)},
            ))  # fmt: skip
            self.live.rows += 1
            load.sampled += SAMPLE_SECONDS
            load.failures = int(broken)

    def violated(self, kind: str, text: str) -> None:
        """Note a broken rule, each kind once a run."""
        if all(each.kind != kind for each in self.violations):
            self.violations.append(Violation(kind, text))

    def check(self, effect: Effect) -> None:
        """Look at everything that has to hold at each moment."""
        for kind, text in itertools.chain(
            self._capacity(), self._rotation(), self._decisions(), self._holder(effect)
        ):
            self.violated(kind, f"{text}, after {effect}")

    def _counted(self) -> dict[str, int]:
        """Return how many servers serve on each balancer."""
        return {
            name: sum(
                told.admin == "ready" and self.is_up(self.of_server(server))
                for server, told in servers.items()
            )
            for name, servers in self.balancers.items()
        }

    def _capacity(self) -> Iterator[tuple[str, str]]:
        before, self._ready = self._ready, self._counted()
        if self.is_outage() or self.world.passed < self.surprised:
            return
        least = self.cloud.limits.node.min_ready_servers
        for name, count in self._ready.items():
            if count < min(least, before[name]):  # a person may have taken out more
                yield "capacity", f"{count} of at least {least} servers serve on {name}"

    def _rotation(self) -> Iterator[tuple[str, str]]:
        for node in self.nodes.values():
            if not self.in_rotation(node):
                continue
            if not node.running:
                yield "stopped in rotation", f"{node.name} is stopped while it gets requests"
            elif not node.proven:
                yield "unproven serves", f"{node.name} gets requests and was never proven"
            elif not self.live.serves(node.runs):
                yield "unfit serves", f"{node.name} runs {node.runs} on {self.live.versions}"
            elif not self.live.triggers:
                yield "unfit serves", f"{node.name} serves tables without their triggers"

    def _decisions(self) -> Iterator[tuple[str, str]]:
        for server in sorted(self.by_person):
            if any(servers[server].admin == "ready" for servers in self.balancers.values()):
                yield "decision overridden", f"{server} is ready, and a person had taken it out"

    def _holder(self, effect: Effect) -> Iterator[tuple[str, str]]:
        locked = effect.system not in {"lock", "load", "backups", "writes"}
        if locked and (self.lock is None or self.lock[0] != self.run_id):
            yield "without the lock", f"run {self.run_id} acts while the lock is {self.lock}"

    def _check_phase(self, phase: Phase) -> None:
        before = list(Phase)[: list(Phase).index(phase)]
        if any(self.live.versions[each] < HEADS[each] for each in before):
            self.violated("order", f"{phase} runs on {self.live.versions}")
        if not self.described:
            self.violated("no backup", f"{phase} runs without a verified backup")
        if phase is Phase.EXPAND and self.variables[CREATORS] != "1":
            self.violated("variable", "expand makes a trigger without the right to")
        if phase is Phase.CONTRACT:
            old = [n.name for n in self.nodes.values() if n.running and n.runs != TARGET]
            if old:
                self.violated("contract with an old node", f"{', '.join(old)} runs {SOURCE}")
            if not self.approved:
                self.violated("decision overridden", "contract runs, and nobody approved")
