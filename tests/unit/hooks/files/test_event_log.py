"""A record that cannot be written stops nothing, and says later what it lacks."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from keystone_rollout.domain.run.events import Noted, StepChanged, StepState, Unwritten
from keystone_rollout.domain.run.record import build_record
from keystone_rollout.hooks.files import event_log
from keystone_rollout.hooks.files.event_log import LOST, EventLog
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.procedures.run.report import write_run_report

STEP = StepChanged(step="expand", state=StepState.STARTED)


def kinds(directory: RunDirectory) -> list[str]:
    return [event.kind for event in directory.all_events()]


def lines(directory: RunDirectory) -> list[bytes]:
    return (directory.path / "events.jsonl").read_bytes().splitlines(keepends=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a disk of 64 KiB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(path: Path) -> None:
    with suppress(OSError), path.open("wb", buffering=0) as stream:
        while True:
            stream.write(b"x" * 4096)


def test_a_full_disk_loses_events_and_the_record_says_so(small_disk: Path) -> None:
    directory = RunDirectory("run", small_disk)
    assert directory.record(STEP)
    before = lines(directory)
    stuffing = small_disk / "stuffing"
    fill(stuffing)
    text = "x" * 5000
    assert [directory.record(Noted(text=text)) for _ in range(3)] == [False] * 3
    assert lines(directory) == before, "nothing of the lost events is left to trip over"
    event_log._uncounted.clear()  # the task that lost them is over, and another one goes on
    stuffing.unlink()
    assert directory.record(Noted(text="room again"))
    (lost,) = directory.events(Unwritten)
    assert (lost.count, lost.reason) == (3, LOST)
    assert kinds(directory) == ["record", "step", "unwritten", "note"]
    assert directory.record(STEP)
    assert len(directory.events(Unwritten)) == 1, "said once"


def test_a_record_that_takes_nothing_any_more_says_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = RunDirectory("run", tmp_path)
    directory.record(STEP)
    with monkeypatch.context() as patch:
        patch.setattr(event_log, "_write", lambda *_: os.write(99999, b""))
        assert [directory.record(STEP) for _ in range(2)] == [False] * 2
        assert directory.unwritten() == 2
        (event,) = [each for each in directory.all_events() if isinstance(each, Unwritten)]
        assert (event.count, event.reason) == (2, LOST)
    directory.record(STEP)
    assert directory.unwritten() == 0
    assert kinds(directory) == ["record", "step", "unwritten", "step"], "said once"


def test_a_report_says_how_many_events_it_lacks(tmp_path: Path) -> None:
    directory = RunDirectory("run", tmp_path)
    directory.record(STEP)
    directory.path.joinpath("events.lost").write_bytes(b"\0\0")
    directory.record(Noted(text="room again"))
    page = write_run_report(directory, "failed", []).read_text()
    assert f"2 event(s) are missing in this record: {LOST}" in page


def beyond_the_limit(folder: Path, written: multiprocessing.Queue[bool]) -> None:
    directory = RunDirectory("run", folder)
    size = (directory.path / "events.jsonl").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40, size + 40))
    written.put(directory.record(Noted(text="x" * 200)))


def test_a_file_that_may_not_grow_keeps_no_half_line(tmp_path: Path) -> None:
    directory = RunDirectory("run", tmp_path)
    directory.record(STEP)
    before = lines(directory)
    context = multiprocessing.get_context("fork")
    written = context.Queue()
    child = context.Process(target=beyond_the_limit, args=(tmp_path, written))
    child.start()
    assert written.get(timeout=30) is False
    child.join(30)
    assert lines(directory) == before
    directory.record(STEP)
    assert [event.count for event in directory.events(Unwritten)] == [1]


@pytest.mark.parametrize("number", [errno.EROFS, errno.EDQUOT, errno.EIO, errno.EACCES])
def test_whatever_a_disk_answers_nothing_is_raised(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    directory = RunDirectory("run", tmp_path)
    directory.record(STEP)

    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr("keystone_rollout.hooks.files.event_log.os.open", refuse)
        assert not directory.record(Noted(text="what was to be kept"))
    assert os.strerror(number) in caplog.text
    assert "what was to be kept" in caplog.text
    directory.record(STEP)
    assert [event.count for event in directory.events(Unwritten)] == [1]


def test_a_folder_that_cannot_be_made_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    directory = RunDirectory("run", tmp_path / "runs")
    assert not directory.record(STEP)


TORN = b'{"kind": "note", "t": 5.0, "te'


@pytest.mark.parametrize("glued", [True, False], ids=["glued", "line of its own"])
@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "middle", "last"])
def test_half_a_line_is_skipped_counted_and_said(place: int, glued: bool, tmp_path: Path) -> None:
    directory = RunDirectory("run", tmp_path)
    directory.record(STEP)
    directory.record(STEP)
    whole = lines(directory)
    torn = TORN if glued else TORN + b"\n"
    path = directory.path / "events.jsonl"
    if place == 2:
        path.write_bytes(b"".join([*whole, torn]))
        directory.record(STEP)
    else:
        path.write_bytes(b"".join([*whole[:place], torn, *whole[place:]]))
    events = directory.all_events()
    steps = 3 if place == 2 else 2
    assert [event.kind for event in events] == ["record", *["step"] * steps, "unwritten"]
    assert len(directory.events(StepChanged)) == steps
    (missing,) = [event for event in events if isinstance(event, Unwritten)]
    assert (missing.count, missing.t) == (1, events[-2].t)
    (deviation,) = build_record("run", events, [], "failed").deviations
    assert deviation.text.startswith("1 event(s) are missing in this record: half a line")


def test_a_first_line_that_is_lost_for_good_leaves_the_rest_readable(tmp_path: Path) -> None:
    directory = RunDirectory("run", tmp_path)
    path = directory.path / "events.jsonl"
    path.write_bytes(b'{"kind": "record", "t": 1.0, "ver')
    assert kinds(directory) == ["unwritten"]
    directory.record(STEP)
    assert kinds(directory) == ["step", "unwritten"]
    path.write_bytes(b"\0" * 4096 + b"\xff\n" + lines(directory)[1])
    assert kinds(directory) == ["step", "unwritten"]


def test_data_within_half_a_line_is_not_taken_for_an_event(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.append(STEP)
    with log.path.open("ab") as stream:
        stream.write(b'{"data": {"kind": "hop"}\n' + json.dumps([1]).encode() + b"\n")
    read, cut_off = log.read()
    assert ([data["kind"] for data in read], cut_off) == (["record", "step"], 2)
