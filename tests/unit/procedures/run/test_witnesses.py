"""A run's witnesses begin in one order, end in the other, and record what they change."""

from __future__ import annotations

from pathlib import Path

import pytest

from keystone_rollout.domain.run.events import VariableChanged
from keystone_rollout.procedures.run.witnesses import run_witnesses
from tests.stand_ins.in_memory_run import in_memory_run

CREATORS = "log_bin_trust_function_creators"


def test_every_gate_and_every_end_has_the_same_witnesses(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run, _systems = in_memory_run(monkeypatch, tmp_path)
    names = [witness.name for witness in run_witnesses(run)]
    assert names == [CREATORS, "transaction_isolation", "load"]


def test_a_variable_is_recorded_with_its_original_when_it_is_set_and_reset(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run, systems = in_memory_run(monkeypatch, tmp_path)
    creators = run_witnesses(run)[0]
    creators.begin()
    assert systems.variables[CREATORS] == "1"
    assert not creators.ended()
    assert creators.end() == f"{CREATORS}: reset to 0"
    assert creators.ended()
    found = [(each.value, each.original) for each in run.directory.events(VariableChanged)]
    assert found == [("1", "0"), ("0", "0")]


def test_what_a_killed_run_left_is_reset_and_is_no_change_of_this_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run, systems = in_memory_run(monkeypatch, tmp_path, dag="keystone_rollback")
    systems.saved[CREATORS], systems.variables[CREATORS] = "0", "1"
    creators = run_witnesses(run)[0]
    assert creators.end() == f"{CREATORS}: reset to 0"
    assert (systems.variables[CREATORS], systems.saved) == ("0", {})
    assert run.directory.events(VariableChanged) == []
    assert not creators.ended()
