"""A lock's heartbeat goes on within a step: a dump takes longer than a lock may be silent."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from keystone_rollout.domain.run.events import StepChanged, StepState
from keystone_rollout.domain.run.lock import LockHolder
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.processes.command import run_outside
from keystone_rollout.procedures.run import run as module
from keystone_rollout.procedures.run.run import RolloutRun
from tests.stand_ins.systems import run_with

SECONDS = 10.0
"""Until a heartbeat that has to come is given up."""


@dataclass
class Lock:
    """A lock whose heartbeats are counted."""

    held: bool = True
    asked: threading.Event = field(default_factory=threading.Event)
    renewed: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    fails: bool = False

    def holder(self) -> LockHolder | None:
        self.asked.set()
        return LockHolder("run-1", "here", "now", 0) if self.held else None

    def keep_alive(self) -> None:
        self.renewed.release()
        if self.fails:
            raise OSError("the database is away")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Lock], RolloutRun]:
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.02)
    return lambda lock: run_with(load_cloud("lab"), tmp_path, lock=lock)


@pytest.mark.parametrize("fails", [False, True])
def test_a_step_renews_the_heartbeat_until_it_ends(
    made: Callable[[Lock], RolloutRun], caplog: pytest.LogCaptureFixture, fails: bool
) -> None:
    lock = Lock(fails=fails)
    run = made(lock)
    with run.step("backup_database"):
        for _ in range(3):
            assert lock.renewed.acquire(timeout=SECONDS)
    assert ("the lock's heartbeat failed: the database is away" in caplog.text) is fails
    states = [event.state for event in run.directory.events(StepChanged)]
    assert states == [StepState.STARTED, StepState.FINISHED]
    assert "heartbeat" not in {thread.name for thread in threading.enumerate()}


def test_the_lock_is_kept_alive_while_a_program_runs_and_its_failure_stops_nothing(
    made: Callable[[Lock], RolloutRun], caplog: pytest.LogCaptureFixture
) -> None:
    lock = Lock(fails=True)
    with made(lock).step("reset_staging"):
        run_outside([sys.executable, "-c", "import time; time.sleep(2)"], 20)
    assert all(lock.renewed.acquire(blocking=False) for _ in range(2))
    assert "the lock's heartbeat failed: the database is away" in caplog.text


def test_a_step_that_fails_ends_its_heartbeat_too(made: Callable[[Lock], RolloutRun]) -> None:
    run = made(Lock())
    with pytest.raises(ValueError, match="x"), run.step("expand"):
        raise ValueError("x")
    assert "heartbeat" not in {thread.name for thread in threading.enumerate()}


def test_a_run_without_a_lock_makes_none(made: Callable[[Lock], RolloutRun]) -> None:
    lock = Lock(held=False)
    with made(lock).kept_alive():
        assert lock.asked.wait(SECONDS)
    assert not lock.renewed.acquire(blocking=False)


def test_a_heart_beats_more_often_than_a_lock_may_be_silent() -> None:
    assert load_cloud("lab").limits.lock_stale_seconds > 3 * module.BEAT_SECONDS
