"""Planned downtime: everything out at once, and back as soon as each node is proven."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.node.cycle import Machine
from keystone_rollout.domain.node.steps import Step
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.haproxy.api import HaproxyError
from keystone_rollout.hooks.haproxy.servers import Servers
from keystone_rollout.hooks.node.all_nodes import AllNodes
from keystone_rollout.procedures.restore.outage import OutageFailed, PlannedOutage
from tests.stand_ins.in_memory_haproxy import Balancer, in_memory_haproxy
from tests.stand_ins.systems import run_with

NODES = ["keystone-1", "keystone-2", "keystone-3"]
OLD, NEW = "12.0.3", "13.0.4"


@dataclass
class Node:
    """Play one node: what is installed, whether it runs, and which steps break."""

    name: str
    balancer: Balancer
    installed: str = NEW
    running: bool = True
    broken: set[Step] = field(default_factory=set)
    deaf: bool = False
    """Step stop succeeds, and the service goes on."""
    steps: list[str] = field(default_factory=list)

    def run(self, step: Step, release: str) -> str:
        self.steps.append(f"{step.value} {release}")
        if step in self.broken:
            raise RuntimeError(f"{self.name}: step {step.value} broke")
        if step is Step.STOP:
            self.running = self.deaf
        if step is Step.INSTALL:
            self.installed = release
        if step is Step.START:
            self.running = True
        self.balancer.servers[self.name].alive = self.running
        return f"{self.installed} 100 {150 if self.running else 'stopped'}\n"

    def prove_alone(self) -> str:
        if not self.running:
            raise RuntimeError(f"{self.name} issues no token")
        return "alone"

    def prove(self) -> str:
        serving = [s for s in self.balancer.servers.values() if s.alive and not s.admin]
        assert serving, "there is nobody behind the load balancer to prove it with"
        return "with the others"


@dataclass
class Stage:
    """Hold the cloud and everything that happened to it."""

    cloud: Cloud
    balancer: Balancer
    nodes: dict[str, Node]
    folder: Path
    notes: list[tuple[str, str, str]] = field(default_factory=list)

    def outage(self) -> PlannedOutage:
        machines: dict[str, Machine] = dict(self.nodes)
        run = run_with(
            self.cloud,
            self.folder,
            nodes=AllNodes(self.cloud, machines),
            keystone=SimpleNamespace(prover=lambda node, seconds: self.nodes[node.name]),
        )
        return PlannedOutage(run, lambda *note: self.notes.append(note))

    def states(self, name: str) -> list[str]:
        return [state for node, state, _text in self.notes if node == name]

    def proofs(self) -> list[str]:
        return [text for _node, state, text in self.notes if state == "proved"]

    def administrative(self) -> list[int]:
        return [server.admin for server in self.balancer.servers.values()]


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    cloud = load_cloud("lab", OLD, NEW)
    fast = {"drain_seconds": 0.3, "up_seconds": 0.3, "stable_seconds": 0.1}
    limits = cloud.limits.model_copy(update={"node": cloud.limits.node.model_copy(update=fast)})
    with in_memory_haproxy(Balancer()) as balancer:
        connection = {"conn_type": "generic", "host": "127.0.0.1", "port": balancer.port}
        monkeypatch.setenv("AIRFLOW_CONN_LAB_HAPROXY", json.dumps(connection))
        nodes = {name: Node(name, balancer) for name in NODES}
        yield Stage(cloud.model_copy(update={"limits": limits}), balancer, nodes, tmp_path)


def failure(outage: PlannedOutage, act: str, *arguments: object) -> str:
    with pytest.raises(OutageFailed) as caught:
        getattr(outage, act)(*arguments)
    return str(caught.value)


def test_all_servers_leave_before_any_node_stops(stage: Stage) -> None:
    assert stage.outage().stop(NODES) == 0
    assert stage.administrative() == [0x01] * 3
    assert not [node for node in stage.nodes.values() if node.running]
    for name in NODES:
        assert stage.states(name) == ["drain", "maint", "stopped"]
    drained = [n for n, note in enumerate(stage.notes) if note[1] == "maint"]
    stopped = [n for n, note in enumerate(stage.notes) if note[1] == "stopped"]
    assert max(drained) < min(stopped)


def test_sessions_that_do_not_end_are_cut_and_counted(stage: Stage) -> None:
    stage.balancer.servers["keystone-2"].sessions = 3
    stage.balancer.servers["keystone-3"].sessions = 2
    assert stage.outage().stop(NODES) == 5
    assert ("keystone-1", "maint", "out of rotation, 5 sessions cut in all") in stage.notes


def test_a_node_that_may_still_run_is_an_error_and_the_others_are_stopped(stage: Stage) -> None:
    stage.nodes["keystone-1"].broken = {Step.STOP}
    stage.nodes["keystone-3"].deaf = True
    assert failure(stage.outage(), "stop", NODES) == (
        "keystone-1 may still run: keystone-1: step stop broke; keystone-3 may still run: it "
        "reports 13.0.4 running after step stop"
    )
    assert not stage.nodes["keystone-2"].running


def test_nodes_come_back_on_the_old_release_the_first_one_alone(stage: Stage) -> None:
    outage = stage.outage()
    outage.stop(NODES)
    stage.notes.clear()
    outage.replace(NODES, OLD)
    assert {node.installed for node in stage.nodes.values()} == {OLD}
    assert stage.administrative() == [0] * 3
    for name in NODES:
        assert stage.states(name) == ["stopped", "installed", "started", "proved", "up"]
        assert stage.nodes[name].steps[2:] == [
            f"{step} {OLD}"
            for step in ("stop", "enable_repository", "install", "configure", "flush_cache",
                         "start", "report_release")
        ]  # fmt: skip
    assert stage.proofs() == ["alone", "with the others", "with the others"]


def test_nodes_are_replaced_at_the_same_time(stage: Stage) -> None:
    together = threading.Barrier(len(NODES), timeout=5)

    def meet(name: str, machine: Machine) -> str:
        together.wait()
        return name

    machines: dict[str, Machine] = dict(stage.nodes)
    done = dict(AllNodes(stage.cloud, machines).each(NODES, meet))
    assert done == {name: name for name in NODES}


def test_a_node_that_does_not_come_back_is_named_and_the_others_serve(stage: Stage) -> None:
    outage = stage.outage()
    outage.stop(NODES)
    stage.nodes["keystone-1"].broken = {Step.INSTALL}
    stage.nodes["keystone-2"].broken = {Step.START}
    assert failure(outage, "replace", NODES, OLD) == (
        "keystone-1 is OUT of rotation: keystone-1: step install broke; keystone-2 is OUT of "
        "rotation: keystone-2: step start broke"
    )
    assert stage.administrative() == [0x01, 0x01, 0]
    assert stage.states("keystone-1")[-1] == "out"
    assert stage.states("keystone-3")[-1] == "up"


def test_a_package_that_did_not_change_is_not_let_in(stage: Stage) -> None:
    class Unchanged(Node):
        def run(self, step: Step, release: str) -> str:
            return super().run(step, release) if step is not Step.INSTALL else ""

    stage.nodes["keystone-2"] = Unchanged("keystone-2", stage.balancer)
    outage = stage.outage()
    outage.stop(NODES)
    assert failure(outage, "replace", NODES, OLD) == (
        "keystone-2 is OUT of rotation: it reports 13.0.4 running; expected 12.0.3 running"
    )


def test_a_cache_that_is_not_emptied_does_not_prolong_the_downtime(stage: Stage) -> None:
    outage = stage.outage()
    stage.nodes["keystone-2"].broken = {Step.FLUSH_CACHE}
    outage.stop(NODES)
    outage.replace(NODES, OLD)
    assert stage.administrative() == [0] * 3
    assert outage.stale_caches == {"keystone-2": "keystone-2: step flush_cache broke"}


def test_a_server_that_haproxy_does_not_see_up_is_named(stage: Stage) -> None:
    outage = stage.outage()
    outage.stop(NODES)
    stage.balancer.deaf = True
    message = failure(outage, "replace", ["keystone-1"], OLD)
    assert message.startswith("keystone-1 is OUT of rotation: keystone-1 is not ready and UP on ")
    assert "after 0.3 s: HAProxy lab_haproxy: keystone-1 is maint, asked: ready" in message


def test_what_was_stopped_for_nothing_is_started_as_it_is(stage: Stage) -> None:
    outage = stage.outage()
    outage.stop(NODES)
    outage.start_again(NODES, [NEW])
    assert {node.installed for node in stage.nodes.values()} == {NEW}
    assert stage.administrative() == [0] * 3
    assert not [step for node in stage.nodes.values() for step in node.steps if "install" in step]


def test_a_package_is_started_by_the_name_that_the_cloud_file_has_for_it(stage: Stage) -> None:
    outage = stage.outage()
    outage.stop(NODES)
    package = f"2:{NEW}-0ubuntu1.2"
    outage.start_again(NODES, [package])
    assert all(f"start {package}" in node.steps for node in stage.nodes.values())


def test_a_release_that_cannot_serve_the_schema_is_not_started(stage: Stage) -> None:
    outage = stage.outage()
    outage.stop(NODES)
    stage.nodes["keystone-3"].installed = OLD
    assert failure(outage, "start_again", NODES, [NEW]) == (
        "keystone-3 is OUT of rotation: it has 12.0.3, the schema may be served by 13.0.4"
    )
    assert not stage.nodes["keystone-3"].running
    assert stage.administrative() == [0, 0, 0x01]


def test_a_restarted_haproxy_serves_no_node_that_is_stopped(stage: Stage) -> None:
    class Restarts(Node):
        def run(self, step: Step, release: str) -> str:
            if step is Step.FLUSH_CACHE:
                self.balancer.restart()
            if step is Step.START:
                assert self.balancer.servers[self.name].admin == 0x01, "it is out when it starts"
            return super().run(step, release)

    stage.nodes["keystone-2"] = Restarts("keystone-2", stage.balancer)
    outage = stage.outage()
    outage.stop(NODES)
    stage.balancer.restart()
    outage.replace(["keystone-2"], OLD)
    assert stage.balancer.servers["keystone-2"].admin == 0
    assert any("HAProxy haproxy was restarted" in text for _, state, text in stage.notes)


def test_a_server_that_was_set_ready_by_hand_is_out_until_it_is_proven(stage: Stage) -> None:
    outage = stage.outage()
    outage.stop(NODES)
    stage.balancer.servers["keystone-1"].admin = 0
    stage.nodes["keystone-1"].broken = {Step.START}
    assert "step start broke" in failure(stage.outage(), "replace", ["keystone-1"], OLD)
    assert stage.balancer.servers["keystone-1"].admin == 0x01


def test_a_server_that_a_person_drains_meanwhile_is_not_brought_in(stage: Stage) -> None:
    outage = stage.outage()
    outage.stop(NODES)

    class Drained(Node):
        def run(self, step: Step, release: str) -> str:
            if step is Step.START:
                self.balancer.servers[self.name].admin = 0x08
            return super().run(step, release)

    stage.nodes["keystone-1"] = Drained("keystone-1", stage.balancer)
    assert failure(stage.outage(), "replace", ["keystone-1"], OLD) == (
        "keystone-1 is OUT of rotation: keystone-1 was set to drain on haproxy by hand, after it "
        "had been set to maint here"
    )
    assert stage.balancer.servers["keystone-1"].admin == 0x08


def test_no_names_is_nothing_to_do(stage: Stage) -> None:
    stage.outage().replace([], OLD)
    assert stage.notes == []


def test_a_server_that_falls_down_again_is_named(stage: Stage) -> None:
    servers = Servers(stage.cloud)
    stage.balancer.servers["keystone-2"].alive = False
    assert servers.serving(NODES) == ["keystone-1", "keystone-3"]
    with pytest.raises(HaproxyError, match=r"^did not stay UP for 0.1 s: haproxy/keystone-2 ready"):
        servers.wait_stable(NODES)


def test_a_server_that_haproxy_does_not_know_is_an_error_with_those_it_knows(stage: Stage) -> None:
    with pytest.raises(HaproxyError) as caught:
        Servers(stage.cloud).serving(["keystone-9"])
    assert str(caught.value) == (
        "HAProxy haproxy knows no server 'keystone-9'; it has keystone-1, keystone-2, keystone-3"
    )


def test_reports_say_of_each_node_what_it_runs_or_why_nobody_knows(stage: Stage) -> None:
    class Dumb(Node):
        def run(self, step: Step, release: str) -> str:
            return "no idea"

    stage.nodes["keystone-1"].broken = {Step.REPORT_RELEASE}
    stage.nodes["keystone-2"] = Dumb("keystone-2", stage.balancer)
    machines: dict[str, Machine] = dict(stage.nodes)
    reports = AllNodes(stage.cloud, machines).reports()
    assert [(name, str(report)) for name, report in reports.items()] == [
        ("keystone-1", "unknown: keystone-1: step report_release broke"),
        (
            "keystone-2",
            "unknown: report_release printed 'no idea'; expected: version installed stopped, or "
            "version installed started process now",
        ),
        ("keystone-3", "13.0.4 running"),
    ]


def test_a_node_without_a_connection_fails_at_its_work_only(stage: Stage) -> None:
    found = AllNodes(stage.cloud).reports()
    assert list(found) == NODES
    assert "lab_keystone_1" in str(found["keystone-1"])
