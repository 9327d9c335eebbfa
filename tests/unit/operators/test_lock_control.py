"""Whoever takes a cloud's lock cleans up what killed runs have left."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from keystone_rollout.domain.run.events import LockChanged, LockState
from keystone_rollout.domain.run.lock import LockHolder
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.procedures.run.run import RolloutRun
from operators import lock_control
from operators.lock_control import TakeLockOperator
from tests.stand_ins.systems import run_with


@pytest.mark.parametrize(("dead", "state"), [("", LockState.TAKEN), ("night", LockState.BROKEN)])
def test_unfinished_files_are_removed_with_or_without_a_lock_to_break(
    dead: str, state: LockState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path / "runs"))
    broken = LockHolder("night", "there:/airflow", "now", 900, token="n1") if dead else None
    monkeypatch.setattr(lock_control, "hold_lock", lambda run, gate: broken)
    container = SimpleNamespace(wait_for_earlier=lambda: "no container")
    cloud = load_cloud("lab").model_copy(update={"backup_directory": str(tmp_path), "name": "x"})
    run = run_with(cloud, tmp_path / "runs", engine=SimpleNamespace(container=container))
    left = tmp_path / "dump.sql.1.part"
    left.touch()
    instance = SimpleNamespace(dag_id="keystone_upgrade")
    assert TakeLockOperator(task_id="take_lock").run_step(run, {"ti": instance}) == dead
    assert not left.exists()
    (event,) = run.directory.events(LockChanged)
    assert (event.state, event.of) == (state, dead)


def test_a_step_whose_beginning_and_end_cannot_be_noted_is_done(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file where the folder should be")
    run = RolloutRun(load_cloud("lab"), RunDirectory("run", tmp_path / "runs"), "restore")
    done = []
    with run.step("restore_function_creators"):
        done.append("restored")
    assert done == ["restored"]
