"""A session that dropped is part of the run's record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keystone_rollout.domain.run.record import build_record
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.hooks.node.machine import NodeMachine
from keystone_rollout.procedures.node.cycle import node_cycle
from keystone_rollout.procedures.run.run import RolloutRun


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
