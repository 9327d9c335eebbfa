"""Beside the steps the load is judged, and nothing is started or taken."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from keystone_rollout.domain.run.events import Judged, LoadStarted, Look
from keystone_rollout.procedures.run.run import GateClosed, RolloutRun
from keystone_rollout.procedures.run.witnesses import LoadWitness
from sensors.load_watch import LoadWatchSensor
from tests.stand_ins.in_memory_run import InMemorySystems, begin_all, in_memory_run

HEARTBEAT = "update_lock_heartbeat"


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[RolloutRun, InMemorySystems]:
    run, systems = in_memory_run(monkeypatch, tmp_path)
    begin_all(run)
    monkeypatch.setattr(RolloutRun, "from_context", lambda context: run)
    systems.clock.sleep(15)
    systems.writes.clear()
    return run, systems


def poke(judged: str = "running") -> bool:
    instance: Any = SimpleNamespace(
        dag_id="keystone_upgrade", run_id="run-1", xcom_push=lambda **_: None,
        get_task_states=lambda **_: {"run-1": {"load.judge_load": judged}},
    )  # fmt: skip
    return LoadWatchSensor(task_id="watch_load", until="load.judge_load").poke(
        {"ti": instance, "run_id": "run-1"}
    )


def watched(run: RolloutRun) -> list[Judged]:
    return [event for event in run.directory.events(Judged) if event.look is Look.WATCH]


def test_a_look_judges_the_load_and_renews_the_lock(
    lab: tuple[RolloutRun, InMemorySystems],
) -> None:
    run, systems = lab
    assert poke() is False
    assert len(watched(run)) == 1
    assert systems.writes == [HEARTBEAT]


def test_a_load_that_died_ends_the_watch_red(lab: tuple[RolloutRun, InMemorySystems]) -> None:
    run, systems = lab
    systems.die()
    with pytest.raises(GateClosed, match="load process"):
        poke()
    assert len(run.directory.events(LoadStarted)) == 1


def test_a_load_that_a_teardown_ended_is_left_to_the_next_step(
    lab: tuple[RolloutRun, InMemorySystems],
) -> None:
    run, systems = lab
    LoadWitness(run).end()
    systems.writes.clear()
    assert poke() is False
    assert watched(run) == []
    assert systems.writes == [HEARTBEAT]
    assert poke("upstream_failed") is True
