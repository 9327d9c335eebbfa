"""Nodes, load balancers and Keystone of a simulated cloud."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, TypeVar

from keystone_rollout.domain.cloud.model import Cloud, Node
from keystone_rollout.domain.cloud.tls import Peer
from keystone_rollout.domain.load.acknowledged_writes import AcknowledgedWrites
from keystone_rollout.domain.load.credentials import KeystoneAccount
from keystone_rollout.domain.node.release_report import NodeReport, parse_release_report
from keystone_rollout.domain.node.server import ServerState
from keystone_rollout.domain.node.steps import Step
from keystone_rollout.domain.run.systems import Work
from keystone_rollout.hooks.haproxy.api import HaproxyError, RuntimeApi
from keystone_rollout.hooks.haproxy.servers import Servers
from keystone_rollout.hooks.keystone.api import ProofFailed
from keystone_rollout.hooks.node.machine import StepFailed
from tests.simulation.site import SESSION_SECONDS, SimulatedNode, Site

Result = TypeVar("Result")
CHANGING = {Step.KEEP_CURRENT, Step.ENABLE_REPOSITORY, Step.STAGE, Step.STOP, Step.INSTALL,
            Step.CONFIGURE, Step.START}  # fmt: skip
SECONDS = {Step.STAGE: 3.0, Step.STOP: 1.0, Step.INSTALL: 4.0, Step.START: 0.5}


class SimulatedMachine:
    """One node, on which steps run."""

    def __init__(self, site: Site, node: SimulatedNode) -> None:
        self.site = site
        self.node = node

    def _effect(self, call: str, act: Callable[[], str], **options: Any) -> str:
        return self.site.world.effect(self.node.name, call, act, StepFailed, **options)

    def run(self, step: Step, release: str) -> str:
        return self._effect(
            f"{step.value} {release}", lambda: self._do(step, release), hangs=600.0,
            changes=step in CHANGING, seconds=SECONDS.get(step, 0.05),
        )  # fmt: skip

    def _do(self, step: Step, release: str) -> str:
        node, now = self.node, self.site.world.passed
        if step is Step.KEEP_CURRENT or step is Step.STAGE:
            node.kept.add(release)
        elif step is Step.STOP:
            node.running = False
        elif step is Step.INSTALL:
            if release not in node.kept:
                raise StepFailed(f"{node.name}: the packages of {release} are not there")
            node.installed, node.installed_at = release, now
        elif step is Step.CONFIGURE:
            node.configured = release
        elif step is Step.START and not node.running:
            node.running, node.runs, node.started = True, node.installed, now
            node.proven, node.noted = False, node.report(now)
        return self._answer(step, release)

    def _answer(self, step: Step, release: str) -> str:
        node = self.node
        if step is Step.REPORT_RELEASE:
            return f"{node.report(self.site.world.passed)}\n{node.noted}"
        if step is Step.KEY_FINGERPRINT:
            return "the same on every node"
        if step is Step.CHECK_KEPT and release not in node.kept:
            return f"/var/lib/keystone-rollout/{release}"
        return ""

    def privileges(self) -> list[str]:
        return ["/usr/bin/systemctl stop keystone"]

    def missing_privileges(self) -> list[str]:
        self._effect("sudo -l", lambda: "")
        return []

    def send_configuration(self) -> None:
        self._effect("send configuration", lambda: "", changes=True)


class SimulatedNodes:
    """All nodes; work on several is done one after another, in an order of the seed's."""

    def __init__(self, site: Site, order: random.Random) -> None:
        self.site = site
        self.order = order

    def connection(self, node: Node) -> None:
        return None

    def machine(
        self, node: Node, note: Callable[[str], None] | None = None, connection: Any = None
    ) -> SimulatedMachine:
        return SimulatedMachine(self.site, self.site.nodes[node.name])

    def each(self, names: Collection[str], work: Work) -> Iterator[tuple[str, str | Exception]]:
        shuffled = sorted(names)
        self.order.shuffle(shuffled)
        for name in shuffled:
            try:
                found: str | Exception = work(name, self.machine(self.site.cloud.node(name)))
            except Exception as error:
                found = error
            yield name, found

    def reports(self) -> dict[str, NodeReport]:
        found = dict(self.each(self.site.nodes, lambda _, node: node.run(Step.REPORT_RELEASE, "")))
        return {name: _report(found[name]) for name in self.site.nodes}


def _report(text: str | Exception) -> NodeReport:
    if isinstance(text, Exception):
        return NodeReport(problem=str(text))
    return NodeReport(parse_release_report(text))


class SimulatedApi(RuntimeApi):
    """One HAProxy's runtime API, whose every command is an effect."""

    def __init__(self, site: Site, name: str) -> None:
        super().__init__(name, None, "keystone", site.world)  # type: ignore[arg-type]
        self.site = site
        self.conn_id = name

    def command(self, text: str) -> str:
        return self._effect(text, lambda: self._answer(text), changes=text.startswith("set"))

    def servers(self) -> dict[str, ServerState]:
        return self._effect("show servers", self._servers)

    def _effect(self, call: str, act: Callable[[], Result], **options: Any) -> Result:
        return self.site.world.effect(self.name, call, act, HaproxyError, hangs=5.0, **options)

    def _answer(self, text: str) -> str:
        words = text.split()
        if words[0] == "set":
            told = self.site.balancers[self.name][words[2].partition("/")[2]]
            if told.admin != words[4]:
                told.admin, told.since = words[4], self.site.world.passed
        if words == ["show", "info"]:
            return f"Pid: 8\nUptime_sec: {int(self.site.world.now())}\n"
        return "admin" if words == ["show", "cli", "level"] else ""

    def _servers(self) -> dict[str, ServerState]:
        found = {}
        for server, told in self.site.balancers[self.name].items():
            up = "UP" if self.site.is_up(self.site.of_server(server)) else "DOWN"
            operational = {"ready": up, "drain": "DRAIN", "maint": "MAINT"}[told.admin]
            ended = self.site.world.passed - told.since >= SESSION_SECONDS
            sessions = 0 if told.admin != "ready" and ended else 3
            found[server] = ServerState(server, operational, told.admin, sessions)
        return found


class SimulatedServers(Servers):
    """The product's own handling of several HAProxy instances, above simulated ones."""

    def __init__(self, site: Site) -> None:
        self.limits = site.cloud.limits.node
        self.clock = site.world
        apis: dict[str, Any] = {name: SimulatedApi(site, name) for name in site.balancers}
        self.by_name = apis
        self._asked = {}


class SimulatedProver:
    """The proof of one node."""

    def __init__(self, site: Site, node: SimulatedNode, start_seconds: float) -> None:
        self.site = site
        self.node = node
        self.start_seconds = start_seconds

    def _ask(self, what: str) -> None:
        def act() -> None:
            if not self.site.works(self.node):
                raise ProofFailed(f"{self.node.name} could not {what}: 500")

        self.site.world.effect(f"{self.node.name}:5000", what, act, ProofFailed)

    def _ask_elsewhere(self, what: str) -> None:
        keystone(self.site, what)

    def _first_token(self) -> None:
        world = self.site.world
        end = world.elapsed() + self.start_seconds
        while True:
            try:
                return self._ask("issue a token")
            except ProofFailed:
                if world.elapsed() > end:
                    raise
                world.sleep(0.5)

    def prove(self) -> str:
        self._first_token()
        started = self.node.started
        self._ask_elsewhere("validate a token of one node")
        self._ask("validate a token issued elsewhere")
        self.node.proven = self.node.proven or started == self.node.started
        return "issues tokens, validates tokens issued elsewhere, and the reverse"

    def prove_alone(self) -> str:
        self._first_token()
        started = self.node.started
        self._ask("validate its own token")
        self.node.proven = self.node.proven or started == self.node.started
        return "issues tokens and validates its own"


def keystone(site: Site, what: str) -> None:
    """Ask Keystone through the load balancer."""

    def act() -> None:
        if not any(site.works(site.nodes[name]) for name in site.serving()):
            raise ProofFailed(f"nobody could {what}: 503")

    site.world.effect("keystone", what, act, ProofFailed)


class SimulatedWrites:
    """The lookup of acknowledged writes, which a restore alone can lose."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def check(self, ledger: Path) -> AcknowledgedWrites:
        keystone(self.site, "look up the acknowledged writes")
        return AcknowledgedWrites(created=10, authenticated=10)

    def remove(self, name_prefix: str) -> dict[str, int]:
        keystone(self.site, "remove the load's objects")
        return {"users": 10}


class SimulatedKeystone:
    """Keystone as its clients see it."""

    url = "http://127.0.0.1:5000/v3"

    def __init__(self, site: Site, cloud: Cloud) -> None:
        self.site = site
        self.cloud = cloud

    def account(self) -> KeystoneAccount:
        return KeystoneAccount(self.url, "admin", "secret")

    def check(self) -> None:
        keystone(self.site, "issue and validate a token")

    def prover(
        self, node: Node, start_seconds: float, elsewhere: str | None = None
    ) -> SimulatedProver:
        return SimulatedProver(self.site, self.site.nodes[node.name], start_seconds)

    def writes(self, account: KeystoneAccount) -> SimulatedWrites:
        return SimulatedWrites(self.site)

    def refused(self, peer: Peer) -> None:
        return None
