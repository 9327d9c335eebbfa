"""What a killed run leaves behind is cleaned up by the run that breaks its lock."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from keystone_rollout.domain.run.events import Reported, StepChanged, StepState
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.procedures.run.end import InterruptedRun
from keystone_rollout.procedures.run.run import RolloutRun

RUN = "manual__2026-01-02T03:04:05+00:00"


def interrupted(run_id: str) -> InterruptedRun:
    """Return a dead run as the next one sees it."""
    run = RolloutRun(load_cloud("lab"), SimpleNamespace(run_id="next"), "take_lock")
    return InterruptedRun(run, run_id)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path))
    return tmp_path


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
