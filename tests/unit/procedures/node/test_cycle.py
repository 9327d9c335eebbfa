"""A session that dropped is part of the run's record."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from keystone_rollout.domain.node.cycle import NodeState
from keystone_rollout.domain.run.lock import Mark
from keystone_rollout.domain.run.record import build_record
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.hooks.node.machine import NodeMachine
from keystone_rollout.procedures.node.cycle import CycleNotes, node_cycle
from keystone_rollout.procedures.run.run import RolloutRun
from tests.stand_ins.systems import run_with


def test_a_note_of_the_machine_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {"conn_type": "ssh", "host": "127.0.0.1", "login": "rollout"}
    monkeypatch.setenv("AIRFLOW_CONN_LAB_KEYSTONE_2", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW_CONN_LAB_KEYSTONE_API", "http://127.0.0.1")
    directory = RunDirectory("run", tmp_path)
    run = RolloutRun(load_cloud("lab"), directory, "upgrade_node")
    machine = node_cycle(run, run.cloud.node("keystone-2")).machine
    assert isinstance(machine, NodeMachine)
    machine.note("session dropped during install; ran it again")
    record = build_record("run", directory.all_events(), [], "succeeded")
    node = record.nodes["keystone-2"]
    assert [(event.state, event.text) for event in node.history] == [
        ("note", "session dropped during install; ran it again")
    ]
    assert node.out_of_rotation == 0.0


def test_the_mark_goes_when_the_server_serves_or_a_person_has_taken_it(tmp_path: Path) -> None:
    marks: dict[str, Mark] = {"keystone-2": Mark("run-0", "killed", "now")}

    class Marks:
        def all(self) -> dict[str, Mark]:
            return dict(marks)

        def mark(self, server: str, run_id: str, attempt: str) -> None:
            marks[server] = Mark(run_id, attempt, "now")

        def clear(self, server: str) -> None:
            del marks[server]

    lock = SimpleNamespace(keep_alive=lambda: None)
    run = run_with(load_cloud("lab"), tmp_path, marks=Marks(), lock=lock)
    for number, state in ((1, NodeState.UP), (3, NodeState.OUT)):
        notes = CycleNotes(run, run.cloud.node(f"keystone-{number}"))
        notes(NodeState.FOUND, "12.0.3 running")
        assert not notes.marked(), "nobody took this one out"
        notes(NodeState.DRAIN, "no new requests")
        assert notes.marked()
        assert f"keystone-{number}" in marks
        notes(state, "as it is")
        assert not notes.marked()
        assert f"keystone-{number}" not in marks
    left_out = CycleNotes(run, run.cloud.node("keystone-2"))
    left_out(NodeState.FOUND, "12.0.3 running")
    assert left_out.marked()
    assert marks["keystone-2"].attempt == left_out.attempt


@pytest.mark.parametrize("back", [False, True])
def test_only_what_leads_to_contract_has_to_be_certain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, back: bool
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LAB_KEYSTONE_2", "ssh://rollout@127.0.0.1")
    monkeypatch.setenv("AIRFLOW_CONN_LAB_KEYSTONE_API", "http://127.0.0.1")
    run = RolloutRun(load_cloud("lab"), RunDirectory("run", tmp_path), "upgrade_node")
    cycle = node_cycle(run, run.cloud.node("keystone-2"), back=back)
    assert cycle.certain is not back
    assert cycle.marked() is False
