"""A run's record is appended to by several processes at once, and read while they do."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from keystone_rollout.domain.node.cycle import NodeState
from keystone_rollout.domain.run.events import (
    Judged,
    NodeChanged,
    Planned,
    RecordUnreadable,
    StepChanged,
    StepState,
)
from keystone_rollout.domain.verdict import Verdict
from keystone_rollout.hooks.files.run_directory import EVENTS, RunDirectory, runs_folder

TIMES = 300


def append(folder: Path, writer: int) -> None:
    directory = RunDirectory("run", folder)
    for _ in range(TIMES):
        # Longer than a pipe's or a stream's buffer: only the lock keeps the line whole.
        directory.record(NodeChanged(node=str(writer), state=NodeState.NOTE, text="x" * 20_000))


def test_two_processes_append_whole_lines(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=append, args=(tmp_path, number)) for number in (1, 2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    assert [writer.exitcode for writer in writers] == [0, 0]
    directory = RunDirectory("run", tmp_path)
    events = directory.events(NodeChanged)
    assert len(events) == 2 * TIMES
    assert len(directory.all_events()) == 2 * TIMES + 1, "and the line that opens the record"
    for number in (1, 2):
        own = [event.text for event in events if event.node == str(number)]
        assert own == ["x" * 20_000] * TIMES


def test_a_run_id_becomes_one_safe_folder(tmp_path: Path) -> None:
    directory = RunDirectory("manual__2026-03-01T10:00:00+00:00/../x", tmp_path)
    assert directory.path == tmp_path / "manual__2026-03-01T10_00_00_00_00_.._x"
    assert directory.path.stat().st_mode & 0o777 == 0o700
    assert directory.load == directory.path / "load"


@pytest.mark.parametrize("run_id", [".", "..", "...", "../..", "/", ""])
def test_no_run_id_leads_out_of_the_folder_of_all_runs(tmp_path: Path, run_id: str) -> None:
    path = RunDirectory(run_id, tmp_path / "runs").path
    assert path.resolve().parent == tmp_path / "runs"


def test_events_are_read_by_kind_and_the_newest(tmp_path: Path) -> None:
    directory = RunDirectory("run", tmp_path)
    assert directory.all_events() == []
    assert directory.last(Planned) is None
    directory.record(Planned(target="13.0.4"))
    directory.record(StepChanged(step="expand", state=StepState.STARTED))
    directory.record(Planned(target="14.2.0"))
    assert [event.kind for event in directory.all_events()] == ["record", "plan", "step", "plan"]
    assert [event.target for event in directory.events(Planned)] == ["13.0.4", "14.2.0"]
    last = directory.last(Planned)
    assert last is not None
    assert (last.target, last.t > 1e9) == ("14.2.0", True)


def test_verdicts_are_recorded_as_they_are(tmp_path: Path) -> None:
    directory = RunDirectory("run", tmp_path)
    verdict = Verdict(False, "load gap", "locust", "11 s", "at most 10 s", "stop", "look")
    directory.record(Judged(gate="before expand", verdicts=[verdict]))
    (event,) = directory.events(Judged)
    assert event.gate == "before expand"
    assert list(event.verdicts) == [verdict]


@pytest.mark.parametrize(
    ("begin", "version"),
    [("", 1), ('{"kind": "record", "t": 1795222799.0, "version": 2}\n', 2)],
)
def test_a_record_of_another_version_is_refused_in_one_sentence(
    tmp_path: Path, begin: str, version: int
) -> None:
    directory = RunDirectory("run", tmp_path)
    path = directory.path / EVENTS
    path.write_text(begin + '{"dag": "keystone_upgrade", "kind": "dag", "t": 1795222800.0}\n')
    for read in (directory.all_events, lambda: directory.last(Planned)):
        with pytest.raises(RecordUnreadable) as caught:
            read()
        assert str(caught.value) == (
            f"{path} was recorded by another version of this project: record version {version}, "
            "this one reads 3. Nothing was changed. Next: start a new run"
        )


def test_json_is_replaced_in_one_step(tmp_path: Path) -> None:
    directory = RunDirectory("run", tmp_path)
    path = directory.write_json("plan.json", {"b": 1, "a": [2]})
    with path.open() as reader:
        directory.write_json("plan.json", {"b": 2})
        assert reader.read() == '{\n "a": [\n  2\n ],\n "b": 1\n}'
    assert path.read_text() == '{\n "b": 2\n}'
    assert sorted(os.listdir(directory.path)) == ["plan.json"]


def test_the_folder_of_all_runs_can_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROLLOUT_RUNS", raising=False)
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))
    assert runs_folder() == tmp_path / "home" / "rollout"
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path / "runs"))
    assert RunDirectory("run").path == tmp_path / "runs" / "run"
    assert not (tmp_path / "home" / EVENTS).exists()
