"""A resumed run is recognised, and only it: what it started again has no teardown."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace

import pytest

from keystone_rollout.domain.run.events import Event, Judged, Reported, StepChanged, StepState
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.event_log import EventLog
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.procedures.run.end import end_safely, was_resumed
from keystone_rollout.procedures.run.run import RolloutRun
from tests.stand_ins.set_clock import SetClock
from tests.stand_ins.systems import run_with

GATE = Judged(gate="before expand", verdicts=())
REPORTED = Reported(state="failed", path="report.html")
STEP = StepChanged(step="expand", state=StepState.STARTED)


@pytest.mark.parametrize(
    ("events", "resumed"),
    [
        ([], False),
        ([GATE], False),
        ([GATE, REPORTED], False),
        ([GATE, REPORTED, STEP], False),
        ([GATE, REPORTED, GATE], True),
        ([GATE, REPORTED, GATE, REPORTED], False),
    ],
)
def test_a_gate_after_the_report_tells_it(
    events: list[Event], resumed: bool, tmp_path: Path
) -> None:
    clock = SetClock()
    run = RolloutRun(load_cloud("lab"), RunDirectory("run-1", tmp_path, clock=clock), "task")
    for event in events:
        run.directory.record(event)
        clock.sleep(1)
    assert was_resumed(run) is resumed


def test_a_full_disk_keeps_nothing_from_being_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    done: list[str] = []

    def variable(name: str) -> SimpleNamespace:
        return SimpleNamespace(
            name=name, needed=True, wanted="1", value=lambda: "0", original=lambda: "0",
            reset=lambda: done.append(name),
        )  # fmt: skip

    run = run_with(
        load_cloud("lab"),
        tmp_path,
        clock=SetClock(),
        lock=SimpleNamespace(release=lambda: done.append("lock") or True, holder=lambda: None),
        marks=SimpleNamespace(all=lambda: done.append("nodes") or {}),
        variables=SimpleNamespace(
            function_creators=variable("creators"), read_committed=variable("isolation")
        ),
    )
    monkeypatch.setattr(EventLog, "_append", full)
    monkeypatch.setattr(RunDirectory, "write_json", full)
    with pytest.raises(RuntimeError, match=r"did not end safely; .*No space left on device"):
        end_safely(run, "succeeded", [])
    assert sorted(done) == ["creators", "isolation", "lock", "nodes"]


def test_runs_of_two_dags_with_one_id_have_a_record_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLOUT_RUNS", str(tmp_path))
    found = [
        RolloutRun.from_context({
            "params": {"cloud": "lab"}, "run_id": "night",
            "ti": SimpleNamespace(task_id="plan", dag_id=dag),
        })
        for dag in ("keystone_upgrade", "keystone_rollback")
    ]  # fmt: skip
    assert len({run.directory.path for run in found}) == 2
    assert len({run.lock.run.token for run in found}) == 2  # type: ignore[attr-defined]
