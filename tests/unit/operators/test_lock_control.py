"""The load of the run that `break_lock` names is stopped, whether that run still has the lock."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

import operators.lock_control
from keystone_rollout.domain.run.lock import LockHolder
from keystone_rollout.hooks.files.cloud_file import load_cloud
from operators.lock_control import TakeLockOperator
from tests.stand_ins.systems import run_with


class Interrupted:
    """A run that left a load."""

    cleaned: list[str] = []

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id

    def stop_load(self) -> list[str]:
        self.cleaned.append(f"load of {self.run_id}")
        return ["its load was stopped"]

    def clean_up(self) -> list[str]:
        self.cleaned.append(f"all of {self.run_id}")
        return []


@pytest.mark.parametrize(
    ("holder", "named", "cleaned"),
    [
        ("", "", []),
        ("", "dead-1", ["load of dead-1"]),
        ("dead-1", "dead-1", ["all of dead-1"]),
    ],
)
def test_what_the_named_run_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holder: str, named: str, cleaned: list[str]
) -> None:
    broken = LockHolder(holder, "here", "yesterday", 900) if holder else None
    monkeypatch.setattr(operators.lock_control, "hold_lock", lambda run, gate: broken)
    monkeypatch.setattr(operators.lock_control, "InterruptedRun", Interrupted)
    monkeypatch.setattr(Interrupted, "cleaned", [])
    container = SimpleNamespace(wait_for_earlier=lambda: "no earlier container")
    run = run_with(
        load_cloud("lab"), tmp_path, engine=SimpleNamespace(container=container),
        lock=SimpleNamespace(break_run=named, release=lambda: True),
    )  # fmt: skip
    context = {"ti": SimpleNamespace(dag_id="keystone_upgrade")}
    assert TakeLockOperator(task_id="take_lock").run_step(run, context) == holder
    assert Interrupted.cleaned == cleaned
