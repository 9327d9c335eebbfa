"""One place replaces all that is outside of a run; the real operators work with what is there."""

from __future__ import annotations

import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.node.release_report import NodeReport, parse_release_report
from keystone_rollout.domain.node.server import ServerState
from keystone_rollout.domain.node.steps import Step
from keystone_rollout.domain.run import systems
from keystone_rollout.domain.run.events import Event, Judged, Kind, PartPlanned, last_of, of_kind
from keystone_rollout.domain.verdict import failed
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.node.machine import NodeMachine
from keystone_rollout.procedures.run.run import GateClosed, RolloutRun
from keystone_rollout.procedures.run.systems import RealOutside, RealSystems, outside, replaced
from operators.nodes import ReturnNodesOperator, UpgradeNodeOperator, VerifyNodesOperator
from operators.plan_parts import (
    PlanHopOperator,
    ReadMigrationsOperator,
    ReadNodesOperator,
    ReadSchemaOperator,
)
from operators.rollout_operator import RolloutOperator
from operators.saved_variable_control import SetFunctionCreatorsOperator
from tests.stand_ins import image_listings
from tests.stand_ins.set_clock import SetClock


class Memory:
    """A record in memory (domain.run.systems.Record)."""

    def __init__(self, run_id: str, clock: SetClock) -> None:
        self.run_id, self.clock = run_id, clock
        self.kept: list[Event] = []

    def record(self, event: Event) -> bool:
        self.kept.append(event)
        return True

    def all_events(self) -> list[Event]:
        return self.kept

    def events(self, kind: type[Kind]) -> list[Kind]:
        return of_kind(self.kept, kind)

    def last(self, kind: type[Kind]) -> Kind | None:
        return last_of(self.kept, kind)


@dataclass
class PlayedCloud:
    """Nodes and servers in memory: the small part of a cloud that these operators need."""

    cloud: Cloud
    clock: SetClock = field(default_factory=SetClock)
    installed: dict[str, str] = field(default_factory=dict)
    out: dict[str, str] = field(default_factory=dict)
    marked: dict[str, Any] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)
    variable: str = "0"

    def __post_init__(self) -> None:
        self.installed = dict.fromkeys(self.cloud.node_names, self.cloud.source)

    # The systems

    @property
    def lock(self) -> SimpleNamespace:
        return SimpleNamespace(keep_alive=lambda: None, break_run="")

    @property
    def marks(self) -> SimpleNamespace:
        return SimpleNamespace(
            all=lambda: self.marked,
            mark=lambda server, run_id, attempt: self.marked.update(
                {server: SimpleNamespace(attempt=attempt, run_id=run_id, since="now")}
            ),
            clear=self.marked.pop,
        )

    @property
    def balancers(self) -> SimpleNamespace:
        balancer = SimpleNamespace(servers=self._servers, level=lambda: "admin")
        return SimpleNamespace(
            by_name={"played": balancer},
            taken_out=lambda server: self.out.get(server, ""),
            check_capacity=lambda server: None,
            lacking_capacity=lambda server: "",
            drain=lambda server: self.out.update({server: "drain"}),
            wait_no_sessions=lambda server: self.clock.sleep(5),
            maint=lambda server: self.out.update({server: "maint"}),
            keep_out=lambda server: [],
            ready=lambda server: self.out.pop(server, None),
            wait_up=lambda server: self.clock.sleep(10),
            is_serving=lambda server: server not in self.out,
        )

    def _servers(self) -> dict[str, ServerState]:
        states = {node.server: self.out.get(node.server, "ready") for node in self.cloud.nodes}
        return {name: ServerState(name, "UP", state, 0) for name, state in states.items()}

    @property
    def nodes(self) -> SimpleNamespace:
        return SimpleNamespace(
            connection=lambda node: None,
            machine=lambda node, note=None, connection=None: SimpleNamespace(
                run=lambda step, release: self._run(node.name, step, release)
            ),
            reports=lambda: {
                name: NodeReport(parse_release_report(f"{release} 1 2"))
                for name, release in self.installed.items()
            },
        )

    def _run(self, name: str, step: Step, release: str) -> str:
        self.steps.append(f"{name} {step.value} {release}")
        if step is Step.INSTALL:
            self.installed[name] = release
        return f"{self.installed[name]} 1 2" if step is Step.REPORT_RELEASE else ""

    @property
    def schema(self) -> SimpleNamespace:
        return SimpleNamespace(
            schema="keystone",
            versions=lambda: image_listings.numbers(24, 24, 24),
            table_sizes=lambda: {"user": {"rows": 7, "exact": True, "bytes": 4096}},
        )

    @property
    def engine(self) -> SimpleNamespace:
        image = SimpleNamespace(
            digest=lambda: "sha256:1",
            release=lambda: self.cloud.target,
            migrations=lambda: image_listings.image_of("13.0.4"),
        )
        return SimpleNamespace(image=image)

    @property
    def keystone(self) -> SimpleNamespace:
        prover = SimpleNamespace(prove=lambda: "proven")
        return SimpleNamespace(prover=lambda node, seconds, elsewhere=None: prover)

    @property
    def variables(self) -> SimpleNamespace:
        return SimpleNamespace(function_creators=SimpleNamespace(
            name="log_bin_trust_function_creators", wanted="1", needed=True, set=self._set,
        ))  # fmt: skip

    def _set(self, run_id: str) -> str:
        original, self.variable = self.variable, "1"
        return original


class PlayedOutside(RealOutside):
    """The real cloud files; record and cloud in memory."""

    def __init__(self, played: PlayedCloud) -> None:
        self.played, self.clock = played, played.clock
        self.records: dict[str, Memory] = {}

    def record(self, run_id: str, folder: Path | None = None, dag: str = "") -> Any:
        return self.records.setdefault(run_id, Memory(run_id, self.played.clock))

    def systems(self, cloud: Cloud, record: systems.Record, break_run: str) -> Any:
        return self.played


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a played cloud outside; whoever goes further fails."""

    def refuse(*_arguments: object, **_more: object) -> None:
        raise AssertionError("this would leave the test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr("operators.nodes.proceed", lambda run, gate: None)
    found = PlayedOutside(PlayedCloud(load_cloud("lab", "12.0.3", "13.0.4")))
    with replaced(found):
        yield found


def context(task_id: str = "task") -> dict[str, Any]:
    instance = SimpleNamespace(task_id=task_id, dag_id="dag", run_id="run-1", map_index=-1,
                               xcom_push=lambda **_: None)  # fmt: skip
    params = {"cloud": "lab", "source": "12.0.3", "target": "13.0.4"}
    return {"params": params, "run_id": "run-1", "ti": instance}


def upgrade(name: str) -> None:
    UpgradeNodeOperator(task_id="upgrade", node=name, ssh_conn_id="none").execute(context())


def verify() -> None:
    VerifyNodesOperator(task_id="verify").execute(context())


def test_nodes_are_upgraded_and_verified_with_everything_in_memory(there: PlayedOutside) -> None:
    record = outside().record("run-1")
    with pytest.raises(GateClosed, match=r"release \(keystone-1\): measured 12\.0\.3 running"):
        verify()
    for name in there.played.cloud.node_names:
        upgrade(name)
    assert there.played.clock.elapsed() == 45.0
    assert there.played.steps[:3] == [
        "keystone-1 report_release 13.0.4",
        "keystone-2 report_release 13.0.4",
        "keystone-3 report_release 13.0.4",
    ]
    assert set(there.played.installed.values()) == {"13.0.4"}
    assert (there.played.out, there.played.marked) == ({}, {})
    verify()
    judged = record.last(Judged)
    assert judged is not None
    assert failed(judged.verdicts) == []


def test_a_node_that_is_left_out_is_brought_back(there: PlayedOutside) -> None:
    there.played.out["keystone-2"] = "maint"
    there.played.marks.mark("keystone-2", "dead", "attempt")
    ReturnNodesOperator(task_id="return_left_out").execute(context())
    assert (there.played.out, there.played.marked) == ({}, {})


@pytest.mark.parametrize(
    "operator", [PlanHopOperator, ReadMigrationsOperator, ReadSchemaOperator, ReadNodesOperator]
)
def test_a_plan_is_read_with_everything_in_memory(
    there: PlayedOutside, operator: type[RolloutOperator]
) -> None:
    assert operator(task_id="part").execute(context()) == []
    (part,) = outside().record("run-1").events(PartPlanned)
    assert part.data["findings"] == []


def test_a_variable_is_set_in_memory(there: PlayedOutside) -> None:
    SetFunctionCreatorsOperator(task_id="set").execute(context())
    assert there.played.variable == "1"


def test_the_real_ones_are_back_after_the_block() -> None:
    before, other = outside(), PlayedOutside(PlayedCloud(load_cloud("lab")))

    def fail() -> None:
        with replaced(other):
            assert outside() is other
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        fail()
    assert outside() is before


def test_real_systems_are_made_at_their_first_use_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is looked up before: none of the lab's connections is there."""
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path))
    run = RolloutRun.from_context(context())
    assert isinstance(run.systems, RealSystems)
    for name in ("marks", "nodes", "schema", "engine", "backups", "scratch", "restores"):
        assert getattr(run, name) is getattr(run, name)


def test_a_run_asks_for_no_system_before_it_is_used() -> None:
    class Asked:
        def __getattr__(self, name: str) -> None:
            raise LookupError(name)

    run = RolloutRun(load_cloud("lab"), SimpleNamespace(run_id="run-1"), "task", found=Asked())
    with pytest.raises(LookupError, match="balancers"):
        _ = run.balancers


def test_what_waits_gets_the_clock_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LAB_KEYSTONE_1", "LAB_KEYSTONE_API"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", "ssh://nobody@127.0.0.1")
    clock, cloud = SetClock(), load_cloud("lab")
    record = outside().record("run-1", tmp_path)
    found, node = RealSystems(cloud, record, clock=clock), cloud.nodes[0]
    machine = found.nodes.machine(node)
    assert isinstance(machine, NodeMachine)
    clocks = [
        found.balancers.clock,
        *(balancer.clock for balancer in found.balancers.by_name.values()),
        machine.clock,
        machine.place.clock,
        found.schema.clock,
        found.schema.watch_locks("expand", 5).clock,
        found.engine.container.clock,
        found.keystone.prover(node, 1).clock,
        found.programs.clock,
    ]
    assert all(each is clock for each in clocks), clocks
    assert found.programs.upgrade({}).run_id == "manual__2027-01-15T08:00:00+00:00"


def test_a_run_has_every_system_of_a_cloud() -> None:
    names = {name for name in vars(systems.Systems) if not name.startswith("_")}
    assert len(names) > 12
    assert names - set(vars(RealSystems)) == {"clock"}
    assert set(RolloutRun.__annotations__) == names
