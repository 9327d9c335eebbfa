"""Waiting for a moment ends when it comes, when the run ends, and when it takes too long."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

import docker
import pytest

from keystone_rollout.hooks.locust.process import LoadProcess
from lab.airflow.upgrade_run import UpgradeRun
from tests.scenarios import moments
from tests.scenarios.scene import Lines, Scene, load_processes, wait_for

EXPAND = {"t": 1.0, "kind": "step", "step": "expand", "state": "started"}
FAILED = {"t": 2.0, "kind": "step", "step": "expand", "state": "failed", "reason": "no lock"}


class Run:
    """Stand for a run that records one event at each look, and ends after the last."""

    log = Path("upgrade.log")

    def __init__(self, *events: dict[str, Any]) -> None:
        self._events = events
        self._looks = 0

    def events(self) -> list[dict[str, Any]]:
        self._looks += 1
        return list(self._events[: self._looks])

    def ended(self) -> bool:
        return self._looks >= len(self._events)


def scene(run: Run) -> Scene:
    return Scene(
        client=cast(docker.DockerClient, None),
        run=cast(UpgradeRun, run),
        lines=cast(Lines, None),
        cloud={},
        folder=Path(),
    )


def test_a_moment_is_waited_for() -> None:
    run = Run({"t": 0.0, "kind": "plan"}, EXPAND, FAILED, FAILED)
    scene(run).until(moments.step("expand"))
    assert not run.ended()


def test_the_last_moment_of_a_run_still_counts() -> None:
    scene(Run({"t": 0.0, "kind": "plan"}, FAILED)).until(moments.step("expand", "failed"))


def test_a_run_that_ends_before_its_moment_says_why() -> None:
    with pytest.raises(
        AssertionError, match=r"ended before its moment \(step migrate started\)"
    ) as e:
        scene(Run(EXPAND, FAILED)).until(moments.step("migrate"))
    assert "no lock" in str(e.value)
    assert "upgrade.log" in str(e.value)


def test_a_moment_that_does_not_come_is_an_error() -> None:
    forever = Run(*[EXPAND] * 1000)
    with pytest.raises(AssertionError, match=r"did not come within 0.2 s"):
        scene(forever).until(moments.step("migrate"), 0.2)


def test_a_condition_is_not_waited_for_beyond_the_run() -> None:
    run = Run(EXPAND)
    run.events()
    with pytest.raises(AssertionError, match="the run ended before keystone-1 drains"):
        scene(run).wait_for("keystone-1 drains", lambda: False, 60)


def test_a_condition_is_waited_for_no_longer_than_allowed() -> None:
    began = time.monotonic()
    with pytest.raises(AssertionError, match=r"keystone-1 serves: not reached within 0.2 s"):
        wait_for("keystone-1 serves", lambda: False, 0.2)
    assert time.monotonic() - began < 5


def test_load_processes_come_in_the_order_of_their_sessions(tmp_path: Path) -> None:
    for number in (2, 10, 1):
        folder = tmp_path / "load" / str(number)
        folder.mkdir(parents=True)
        LoadProcess(number, number, "http://127.0.0.1:8089").save(folder / "process.json")
    assert [process.pid for process in load_processes(tmp_path)] == [1, 2, 10]
    assert load_processes(None) == []
