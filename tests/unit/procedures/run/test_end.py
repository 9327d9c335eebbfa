"""A resumed run is recognised, and only it: what it started again has no teardown."""

from __future__ import annotations

from pathlib import Path

import pytest

from keystone_rollout.domain.run.events import Event, Judged, Reported, StepChanged, StepState
from keystone_rollout.hooks.files.cloud_file import load_cloud
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.procedures.run.end import was_resumed
from keystone_rollout.procedures.run.run import RolloutRun
from tests.stand_ins.set_clock import SetClock

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
