"""A load is started only where it can be found again, to stop it."""

from __future__ import annotations

from pathlib import Path

import pytest

from keystone_rollout.domain.run.events import Event
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.hooks.locust.generator import LoadGeneratorError, LoadGeneratorHook
from keystone_rollout.procedures.load.session import LoadSession
from keystone_rollout.procedures.run.run import RolloutRun


class FullDirectory(RunDirectory):
    """A run's directory on a full disk."""

    def record(self, event: Event) -> bool:
        return False


def test_a_session_that_cannot_be_written_down_is_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[object] = []
    monkeypatch.setattr(LoadGeneratorHook, "start", lambda *_, **__: started.append("load"))
    run = RolloutRun(load_cloud("lab"), FullDirectory("run", tmp_path), "start_load")
    with pytest.raises(LoadGeneratorError, match="the load was not started: session 1 could not"):
        LoadSession(run).start()
    assert started == []
