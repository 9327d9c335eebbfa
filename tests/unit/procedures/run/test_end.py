"""A resumed run is recognised, and only it: what it started again has no teardown."""

from __future__ import annotations

from pathlib import Path

import pytest

from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.procedures.run.end import was_resumed
from keystone_rollout.procedures.run.run import RolloutRun


@pytest.mark.parametrize(
    ("kinds", "resumed"),
    [
        ([], False),
        (["gate"], False),
        (["gate", "reported"], False),
        (["gate", "reported", "step"], False),
        (["gate", "reported", "gate"], True),
        (["gate", "reported", "gate", "reported"], False),
    ],
)
def test_a_gate_after_the_report_tells_it(
    kinds: list[str], resumed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(100))
    monkeypatch.setattr("keystone_rollout.hooks.files.run_directory.time.time", lambda: next(clock))
    run = RolloutRun(load_cloud("lab"), RunDirectory("run-1", tmp_path), "task")
    for kind in kinds:
        run.directory.record(kind)
    assert was_resumed(run) is resumed
