"""A run has one load at a time, and only where it can be found again, to stop it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from keystone_rollout.domain.load.credentials import KeystoneAccount
from keystone_rollout.domain.run.events import Event
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.hooks.locust.generator import LoadGeneratorError, LoadGeneratorHook
from keystone_rollout.procedures.load.session import LoadSession
from keystone_rollout.procedures.run.run import RolloutRun
from tests.stand_ins.systems import run_with


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


@dataclass
class PlayedLoad:
    """Sessions without processes: their calls, and the folders of those that load."""

    alive: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    broken: bool = False

    def session(self, folder: Path) -> SimpleNamespace:
        def start(*_: object, **__: object) -> None:
            self.calls.append(f"start {folder.name}")

        def wait() -> None:
            if self.broken:
                raise RuntimeError("the load did not start")
            self.alive.add(folder.name)

        def stop() -> SimpleNamespace:
            self.calls.append(f"stop {folder.name}")
            self.alive.discard(folder.name)
            return SimpleNamespace(how="stopped")

        return SimpleNamespace(
            directory=folder, start=start, stop=stop, wait_until_serving=wait,
            is_alive=lambda: folder.name in self.alive,
        )  # fmt: skip


@pytest.fixture
def played() -> PlayedLoad:
    return PlayedLoad()


@pytest.fixture
def run(tmp_path: Path, played: PlayedLoad) -> RolloutRun:
    account = KeystoneAccount("http://127.0.0.1:5000/v3", "admin", "secret")
    keystone = SimpleNamespace(account=lambda: account)
    return run_with(load_cloud("lab"), tmp_path, load=played, keystone=keystone)


def test_a_load_that_runs_is_not_started_again(run: RolloutRun, played: PlayedLoad) -> None:
    LoadSession(run).start()
    before = list(played.calls)
    again = LoadSession(run)
    again.start()
    assert again.number == 1
    assert played.calls == before


def test_a_load_that_hangs_is_ended_before_the_next_one_starts(
    run: RolloutRun, played: PlayedLoad
) -> None:
    LoadSession(run).start()
    played.alive.clear()
    played.calls.clear()
    again = LoadSession(run)
    again.start()
    assert again.number == 2
    assert played.calls == ["stop 1", "start 2"]


def test_a_load_that_does_not_serve_is_ended(run: RolloutRun, played: PlayedLoad) -> None:
    played.broken = True
    session = LoadSession(run)
    with pytest.raises(RuntimeError, match="did not start"):
        session.start()
    assert played.calls[-2:] == ["start 1", "stop 1"]
    assert session.ended_on_purpose()
