"""What a killed run leaves behind is cleaned up by the run that breaks its lock."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from keystone_rollout.domain.run.events import (
    LoadStopped,
    Planned,
    Reported,
    StepChanged,
    StepState,
)
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.run_directory import RunDirectory, rehearsals_folder
from keystone_rollout.hooks.locust.process import LoadProcess
from keystone_rollout.procedures.run.end import (
    InterruptedRun,
    remove_leftovers,
    stop_forgotten_loads,
)
from keystone_rollout.procedures.run.run import RolloutRun

RUN = "manual__2026-01-02T03:04:05+00:00"


def interrupted(run_id: str, token: str = "") -> InterruptedRun:
    """Return a dead run as the next one sees it."""
    run = RolloutRun(load_cloud("lab"), SimpleNamespace(run_id="next"), "take_lock")
    return InterruptedRun(run, run_id, token)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    monkeypatch.setenv("ROLLOUT_RUNS", str(folder))
    return folder


def test_its_report_is_written_and_says_interrupted(runs: Path) -> None:
    dead = RunDirectory(RUN)
    dead.record(StepChanged(step="expand", state=StepState.STARTED))
    done = interrupted(RUN).clean_up()
    report = json.loads((dead.path / "report.json").read_text())
    assert report["state"] == "interrupted"
    assert report["steps"][0]["name"] == "expand"
    assert report["steps"][0]["ended"] is None
    page = (dead.path / "report.html").read_text()
    assert "Interrupted" in page
    assert "It was killed, and a later run cleaned up after it" in page
    assert done == [f"its report was written: {dead.path / 'report.html'}"]
    assert dead.last(Reported) is not None


def test_a_load_that_has_ended_is_not_stopped_again(runs: Path) -> None:
    dead = RunDirectory(RUN)
    (dead.load / "1").mkdir(parents=True)
    load = interrupted(RUN).load()
    assert load is not None
    assert load.directory == dead.load / "1"
    assert interrupted(RUN).clean_up() == [f"its report was written: {dead.path / 'report.html'}"]


def test_its_load_is_stopped_even_if_it_hangs(runs: Path) -> None:
    """It might wake up, and would send requests until its run_time is over."""
    dead = RunDirectory(RUN)
    with at_work(dead) as silent:
        done = interrupted(RUN).clean_up()
        assert silent.wait(10) == -signal.SIGINT
    assert done[0] == "its load was stopped"
    assert [event.session for event in dead.events(LoadStopped)] == [1]


@pytest.mark.parametrize(
    ("run_id", "cloud", "stopped"),
    [(RUN, "lab", True), (RUN, "another", False), ("next", "lab", False), (RUN, "", False)],
)
def test_a_load_is_stopped_if_it_is_on_this_cloud_and_another_runs(
    runs: Path, run_id: str, cloud: str, stopped: bool
) -> None:
    (runs / "a file").touch()
    RunDirectory("without a load", dag="keystone_upgrade")
    run = RolloutRun(load_cloud("lab"), RunDirectory("next", dag="keystone_upgrade"), "take_lock")
    ended = RunDirectory(run_id, dag="keystone_upgrade")
    if cloud:
        ended.record(Planned(cloud=cloud))
    with at_work(ended) as process:
        said = stop_forgotten_loads(run)
        assert said == ([f"run {RUN}: its load was stopped"] if stopped else [])
        assert (process.poll() is not None) is stopped
        process.kill()
    assert len(ended.events(LoadStopped)) == int(stopped)


@contextmanager
def at_work(directory: RunDirectory) -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that stands for the load of a run."""
    (directory.load / "1").mkdir(parents=True)
    program = ["env", "--default-signal=INT", "sleep", "60"]
    with subprocess.Popen(program, start_new_session=True) as process:
        LoadProcess.of(process.pid).save(directory.load / "1" / "process.json")
        yield process


def test_a_run_of_another_machine_is_said_to_have_left_nothing_here(runs: Path) -> None:
    assert interrupted("elsewhere").load() is None
    assert interrupted("elsewhere").clean_up() == [
        "run elsewhere left no record on this machine; its load, if any, may still run where it "
        "was started, until its run_time is over"
    ]
    assert list(runs.iterdir()) == [], "looking must not make a directory"


def test_a_record_of_another_version_does_not_keep_the_next_run_away(runs: Path) -> None:
    dead = RunDirectory(RUN)
    (dead.path / "events.jsonl").write_text('{"dag": "keystone_upgrade", "kind": "dag", "t": 1}\n')
    (done,) = interrupted(RUN).clean_up()
    assert done.startswith("its report was not written: ")
    assert "was recorded by another version of this project" in done


def test_a_full_disk_does_not_keep_the_next_run_away(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    RunDirectory(RUN).record(StepChanged(step="expand", state=StepState.STARTED))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(RunDirectory, "write_json", full)
    (done,) = interrupted(RUN).clean_up()
    assert done.startswith("its report was not written: ")
    assert "No space left on device" in done


def test_a_run_of_the_same_id_is_not_taken_for_the_dead_one(runs: Path) -> None:
    alive = RunDirectory(RUN, dag="keystone_upgrade")
    (alive.load / "1").mkdir(parents=True)
    assert interrupted(RUN, "token of the dead").load() is None
    assert interrupted(RUN, alive.identity().token).load() is not None


def test_what_killed_runs_left_unfinished_is_removed_wherever_it_is(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = load_cloud("lab").model_copy(update={"backup_directory": str(runs / "backups")})
    run = RolloutRun(cloud, RunDirectory("next"), "take_lock")
    kept = RunDirectory("lab", rehearsals_folder()).path
    session = RunDirectory(RUN).load / "1"
    for folder in (runs / "backups", session):
        folder.mkdir(parents=True)
    left = [
        runs / "backups" / "dump.sql.1.part", runs / "backups" / "production.sql.rehearsal",
        session / "process.json.1.part", session.parents[1] / "report.html.1.part",
        kept / "history.json.1.part",
    ]  # fmt: skip
    for path in left:
        path.touch()
    assert sorted(remove_leftovers(run)) == sorted(left)
    assert not any(path.exists() for path in left)
